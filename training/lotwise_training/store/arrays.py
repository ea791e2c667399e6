"""Arrays that a full run measured, kept in the repository beside a manifest that names their hash.

A figure can then be checked without hours of training, and nobody can change one without the other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise_training.config.errors import TrainingError

LARGEST_BYTES: Final = 8_000_000
HASH: Final = "outputs_sha256"

Arrays = Mapping[str, npt.NDArray[Any]]


class ResultsError(TrainingError, RuntimeError):
    """Predictions that are missing, unreadable or not those that their manifest speaks of."""


def write_stored(path: Path, arrays: Arrays, manifest: Mapping[str, Any]) -> None:
    """Write arrays, and beside them their manifest with the hash of their file.

    Args:
        path: Of the arrays, .npz; its folder is made where it is missing.
        arrays: By name; compressed.
        manifest: What else is known of the run, in JSON's types.

    Raises:
        ResultsError: More than 8 MB; store fewer tiles.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished.npz")
    np.savez_compressed(unfinished, allow_pickle=False, **arrays)
    size = unfinished.stat().st_size
    if size > LARGEST_BYTES:
        unfinished.unlink()
        raise ResultsError(f"outputs of {size / 1e6:.1f} MB; at most 8 MB are kept")
    unfinished.replace(path)
    content = {**manifest, HASH: hashlib.sha256(path.read_bytes()).hexdigest()}
    manifest_path(path).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_stored(path: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Arrays and manifest, as `write_stored` wrote them.

    Raises:
        ResultsError: A file is missing or unreadable, or the arrays are not the manifest's.
    """
    try:
        manifest: dict[str, Any] = json.loads(manifest_path(path).read_text(encoding="utf-8"))
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path.parent} holds no readable outputs: {error}") from None
    if hashlib.sha256(content).hexdigest() != manifest.get(HASH):
        raise ResultsError(f"{path} is not the file that its manifest speaks of")
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}, manifest


def manifest_path(path: Path) -> Path:
    """The manifest of an array file: `manifest.json` of `outputs.npz`, else named after it."""
    name = "manifest.json" if path.stem == "outputs" else f"{path.stem}.json"
    return path.with_name(name)
