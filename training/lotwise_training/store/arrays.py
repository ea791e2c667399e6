"""Evaluation results on disk: typed arrays in an .npz file, all else in a .json manifest beside it.

Results are committed, so that figures can be checked without hours of training. A result is a
frozen dataclass, its annotations are its schema: arrays with dtype and shape, values that pydantic
checks strictly, nested dataclasses, and mappings. The manifest names the SHA-256 of the array file,
so that neither can be changed without the other.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar, get_args

import numpy as np
import numpy.typing as npt
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import CoreSchema, core_schema

from lotwise_training.config.errors import TrainingError

LARGEST_BYTES: Final = 8_000_000

Arrays = dict[str, npt.NDArray[Any]]


class ResultsError(TrainingError, RuntimeError):
    """Stored results that are missing, unreadable or inconsistent.

    Attributes:
        reason: Stable name of the error: RESULTS_MISSING, RESULTS_CHANGED, RESULTS_INVALID,
            RESULTS_TOO_LARGE, or RESULTS_UNUSABLE where they do not serve the purpose at hand.
    """

    def __init__(self, message: str, reason: str = "RESULTS_UNUSABLE") -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Shape:
    """Declares an array field: `Annotated[npt.NDArray[np.float16], Shape("N K")]`.

    Attributes:
        symbols: One a dimension. Equal symbols of one dataclass mean equal lengths; `*` is any
            length, and a last `...` any further dimensions.
    """

    symbols: str

    def __get_pydantic_core_schema__(self, source: Any, _: GetCoreSchemaHandler) -> CoreSchema:
        """Resolve an array's name to the array, and check dtype and shape."""
        dtype = np.dtype(get_args(get_args(source)[1])[0])

        def load(name: object, info: ValidationInfo) -> npt.NDArray[Any]:
            context: _Context = info.context  # type: ignore[assignment]
            array = context.take(name)
            if array.dtype != dtype:
                raise ValueError(f"is {array.dtype}, not {dtype}")
            context.check_shape(str(name), self.symbols.split(), array.shape)
            return array

        return core_schema.with_info_plain_validator_function(load)


class Stored:
    """Base of dataclasses that results are made of."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid")


@dataclass(frozen=True, eq=False)
class Result(Stored):
    """Base of results, each of which has its own files.

    Attributes:
        stem: Name of the files without their suffix.
        arrays_sha256: Of the array file; empty without arrays and before writing.
    """

    stem: ClassVar[str]
    arrays_sha256: str = field(default="", kw_only=True)

    def manifest(self) -> dict[str, Any]:
        """All fields without arrays, in JSON's types."""
        content = {}
        for each in fields(self):
            arrays: Arrays = {}
            value = _tree(getattr(self, each.name), (), arrays)
            if not arrays:
                content[each.name] = value
        return content


R = TypeVar("R", bound=Result)


def joined(kind: Callable[[str], object]) -> BeforeValidator:
    """Annotation of a mapping's tuple keys, which the manifest joins by a slash."""
    return BeforeValidator(lambda key: tuple(kind(part) for part in str(key).split("/")))


def write(folder: Path, result: Result, *, largest_bytes: int = LARGEST_BYTES) -> None:
    """Write a result's array file and manifest, one atomically after the other.

    Args:
        folder: Made where it is missing.
        result: What to keep.
        largest_bytes: Of the compressed arrays; the files are committed.

    Raises:
        ResultsError: Arrays that contradict their declaration, or that are too large. Earlier files
            are then left as they are.
    """
    arrays: Arrays = {}
    tree = _tree(result, (), arrays)
    path = folder / f"{result.stem}.npz"
    _validated(type(result), tree, arrays, path)
    compressed = io.BytesIO()
    if arrays:
        np.savez_compressed(compressed, allow_pickle=False, **arrays)
    content = compressed.getvalue()
    if len(content) > largest_bytes:
        raise ResultsError(
            f"{path} would have {len(content) / 1e6:.1f} MB; at most {largest_bytes / 1e6:g} MB "
            "are kept: store fewer tiles",
            "RESULTS_TOO_LARGE",
        )
    folder.mkdir(parents=True, exist_ok=True)
    tree["arrays_sha256"] = _sha256(content)
    if arrays:
        _replace(path, content)
    text = json.dumps(tree, indent=1, allow_nan=False) + "\n"
    _replace(path.with_suffix(".json"), text.encode())


def read(kind: type[R], folder: Path) -> R:
    """A result as `write` wrote it.

    Raises:
        ResultsError: A file is missing or unreadable, the arrays are not the manifest's, or a field
            contradicts its declaration; the message names file and field.
    """
    path = folder / f"{kind.stem}.json"
    arrays_path = path.with_suffix(".npz")
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        stated = tree.get("arrays_sha256")
        content = arrays_path.read_bytes() if stated or arrays_path.exists() else b""
    except (OSError, ValueError, AttributeError) as error:
        raise ResultsError(
            f"{folder} holds no readable results: {error}", "RESULTS_MISSING"
        ) from None
    if _sha256(content) != stated:
        raise ResultsError(
            f"{arrays_path} is not the file that its manifest describes", "RESULTS_CHANGED"
        )
    arrays: Arrays = {}
    if content:
        try:
            with np.load(io.BytesIO(content)) as stored:
                arrays = {name: stored[name] for name in stored.files}
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            raise ResultsError(f"{arrays_path}: {error}", "RESULTS_INVALID") from None
    return _validated(kind, tree, arrays, path)


def find(kind: type[R], folder: Path) -> R | None:
    """As `read`; None where neither file exists."""
    path = folder / f"{kind.stem}.json"
    exists = path.exists() or path.with_suffix(".npz").exists()
    return read(kind, folder) if exists else None


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Write an .npz file so that a crash leaves the old file or the new, never a half.

    Not compressed: tiles are noise to a compressor, and loading is what happens often.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.partial")
    with unfinished.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    unfinished.replace(path)


class _Context:
    """Arrays that a manifest names, and the lengths of their dimensions."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays
        self.lengths: dict[tuple[str, str], int] = {}
        self.taken: set[object] = set()

    def take(self, name: object) -> npt.NDArray[Any]:
        if not isinstance(name, str) or name not in self.arrays:
            raise ValueError(f"the array file lacks {name!r}")
        self.taken.add(name)
        return self.arrays[name]

    def check_shape(self, name: str, symbols: list[str], shape: tuple[int, ...]) -> None:
        further = symbols[-1] == "..."
        symbols = symbols[:-1] if further else symbols
        owner = name.rpartition("/")[0]
        fits = len(shape) >= len(symbols) if further else len(shape) == len(symbols)
        for symbol, length in zip(symbols, shape, strict=False):
            fits &= symbol == "*" or self.lengths.setdefault((owner, symbol), length) == length
        if not fits:
            known = {symbol: n for (of, symbol), n in self.lengths.items() if of == owner}
            raise ValueError(f"has shape {shape}, not [{', '.join(symbols)}] with {known}")


def _validated(kind: type[R], tree: Mapping[str, Any], arrays: Arrays, path: Path) -> R:
    context = _Context(arrays)
    try:
        # As JSON, in which strict mode takes a list for a tuple and an object for a dataclass.
        found = TypeAdapter(kind).validate_json(json.dumps(tree), context=context)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(each) for each in first["loc"])
        raise ResultsError(f"{path}: {where}: {first['msg']}", "RESULTS_INVALID") from None
    if unnamed := sorted(arrays.keys() - context.taken):
        raise ResultsError(f"{path} names no array {unnamed[0]!r}", "RESULTS_INVALID")
    return found


def _tree(value: object, path: tuple[str, ...], arrays: Arrays) -> Any:
    """A value in JSON's types, arrays by their names; the arrays themselves go into `arrays`."""
    if isinstance(value, np.ndarray):
        name = "/".join(path)
        assert name not in arrays, name
        arrays[name] = value
        return name
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        keys = {key if isinstance(key, str) else "/".join(map(str, key)): key for key in value}
        return {name: _tree(value[key], (*path, name), arrays) for name, key in keys.items()}
    if isinstance(value, tuple | list):
        return [_tree(each, (*path, str(n)), arrays) for n, each in enumerate(value)]
    if is_dataclass(value):
        # A mapping's own keys name its arrays.
        content = {each.name: getattr(value, each.name) for each in fields(value)}
        return {
            name: _tree(each, path if isinstance(each, Mapping) else (*path, name), arrays)
            for name, each in content.items()
        }
    return value


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if content else ""


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
