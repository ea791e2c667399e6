"""Where the tiles of a lot lie: a folder, files that a pattern names, or an archive.

A source lists files without reading them into memory, and reads one when it is its turn. Names say
where in the mosaic a tile lies, in the way of the usual scanning programs.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, Any, Final, Protocol

from lotwise.core.errors import InvalidRequest
from lotwise.core.lot_sidecar import (
    COMPLETE,
    NOT_TILES,
    SIDECAR,
    LotSidecar,
    read_lot_sidecar,
)
from lotwise.screening.screener import MAX_READ_BYTES
from lotwise.store import FoundTile

ARCHIVES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz")
_PLACES: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?:^|[^a-z])r(?:ow)?[-_ ]?(?P<row>\d+)[-_ ]*c(?:ol(?:umn)?)?[-_ ]?(?P<column>\d+)",
        r"(?:^|[^a-z])x[-_ ]?(?P<column>\d+)[-_ ]*y[-_ ]?(?P<row>\d+)",
        r"(?:^|[^a-z])y[-_ ]?(?P<row>\d+)[-_ ]*x[-_ ]?(?P<column>\d+)",
        r"^tile[-_ ](?P<row>\d+)[-_ ](?P<column>\d+)",
    )
)
_LARGEST_PLACE: Final = 100_000
"""A larger number is a stage's position, not a row."""
FOLDER: Final = "."
"""What is unreadable where a folder cannot be listed."""


@dataclass(frozen=True)
class Unreadable:
    """A file that is there and cannot be read.

    Attributes:
        path: Relative to the source.
        why: Of the operating system.
    """

    path: str
    why: str


class LotSource(Protocol):
    """Tiles of one lot.

    Attributes:
        name: Of the lot.
        source: The whole path of where it lies.
        um_per_px: Edge length of a pixel in micrometres; None where the files say it.
        simulated: Whether `lot.json` says so.
        attributes: Of the material, by name, each 0 to 1; what `lot.json` says.
        unreadable: Files that the last `found` could not read.
    """

    name: str
    source: str
    um_per_px: float | None
    simulated: bool
    attributes: Mapping[str, float]
    unreadable: list[Unreadable]

    def found(self) -> Iterator[FoundTile]:
        """All files that may be tiles, in the order of their names, with their hashes."""

    def read(self, path: str) -> bytes:
        """Content of a file; empty where it cannot be read, so that it is listed and not lost."""

    def beside(self, path: str) -> Path | None:
        """Where a file lies on disk, for what its instrument wrote beside it."""


def place_of(name: str) -> tuple[int | None, int | None]:
    """Row and column that a file's name states; None where it states none.

    Args:
        name: Such as `r003_c012.tif`, `lot7_row3_col12.png`, `x12_y3.png` or `tile_3_12.bmp`.
    """
    for pattern in _PLACES:
        found = pattern.search(name)
        if found is not None:
            row, column = int(found["row"]), int(found["column"])
            if max(row, column) < _LARGEST_PLACE:
                return row, column
    return None, None


def open_source(text: str, um_per_px: float | None = None) -> LotSource:
    """The source that a person names.

    Args:
        text: A folder, an archive (zip, tar), or a pattern such as `lot7/*.tif`, in quotes so that
            the shell leaves it alone.
        um_per_px: Edge length of a pixel in micrometres, for all tiles; goes before `lot.json`.

    Raises:
        InvalidRequest: LOT_MISSING, LOT_EMPTY, LOT_SIDECAR_INVALID or ARCHIVE_INVALID.
    """
    path = Path(text)
    if path.is_dir():
        return FolderSource.of(path, um_per_px)
    if path.is_file():
        if path.name.lower().endswith(ARCHIVES):
            return ArchiveSource.of(path, um_per_px)
        raise InvalidRequest(
            "LOT_MISSING", f"{path} is neither a folder nor an archive ({', '.join(ARCHIVES)})."
        )
    if glob.has_magic(text):
        return FolderSource.of_pattern(text, um_per_px)
    raise InvalidRequest("LOT_MISSING", f"There is no {path}. Name a folder of tiles.")


@dataclass
class FolderSource:
    """A folder of tiles, or some of its files; a `LotSource`."""

    name: str
    source: str
    um_per_px: float | None
    simulated: bool
    attributes: Mapping[str, float] = field(default_factory=dict)
    pattern: str = ""
    unreadable: list[Unreadable] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path, um_per_px: float | None) -> FolderSource:
        """All files of a folder."""
        whole = folder.resolve()
        said = read_lot_sidecar(folder)
        return cls(
            said.lot_id or whole.name,
            str(whole),
            um_per_px if um_per_px is not None else said.um_per_px,
            said.simulated,
            said.attributes,
        )

    @classmethod
    def of_pattern(cls, pattern: str, um_per_px: float | None) -> FolderSource:
        """Files that a pattern names; the lot is the folder before its first wildcard."""
        parts = Path(pattern).parts
        plain = next(number for number, part in enumerate(parts) if glob.has_magic(part))
        folder = Path(*parts[:plain]) if plain else Path()
        if not folder.is_dir():
            raise InvalidRequest("LOT_MISSING", f"{folder} is no folder. Name a folder of tiles.")
        source = cls.of(folder, um_per_px)
        source.pattern = str(Path(*parts[plain:]))
        if not source._names():
            raise InvalidRequest("LOT_EMPTY", f"{pattern} names no file.")
        return source

    def _names(self) -> list[str]:
        """Files that may be tiles, relative, in order: names, as paths take ten times as much."""
        try:
            return sorted(name for name in self._listed() if _may_be_tile(PurePath(name).name))
        except OSError as error:
            self.unreadable.append(Unreadable(FOLDER, error.strerror or str(error)))
            return []

    def _listed(self) -> Iterator[str]:
        if self.pattern:
            root = Path(self.source)
            for path in root.glob(self.pattern):
                if path.is_file():
                    yield str(path.relative_to(root))
            return
        with os.scandir(self.source) as entries:
            for entry in entries:
                if entry.is_file():
                    yield entry.name

    def found(self) -> Iterator[FoundTile]:
        """See `LotSource`."""
        self.unreadable.clear()
        for name in self._names():
            relative = PurePath(name).as_posix()
            try:
                with (Path(self.source) / name).open("rb") as file:
                    yield _found(relative, file)
            except OSError as error:
                self.unreadable.append(Unreadable(relative, error.strerror or str(error)))

    def read(self, path: str) -> bytes:
        """See `LotSource`."""
        try:
            with (Path(self.source) / path).open("rb") as file:
                return file.read(MAX_READ_BYTES)
        except OSError:
            return b""

    def beside(self, path: str) -> Path | None:
        """See `LotSource`."""
        return Path(self.source) / path


@dataclass
class ArchiveSource:
    """An archive of tiles; a `LotSource`. Nothing is unpacked onto the disk."""

    name: str
    source: str
    um_per_px: float | None
    simulated: bool
    attributes: Mapping[str, float] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _opened: Any = field(default=None, repr=False)

    @classmethod
    def of(cls, path: Path, um_per_px: float | None) -> ArchiveSource:
        """All files of an archive.

        Raises:
            InvalidRequest: ARCHIVE_INVALID, LOT_SIDECAR_INVALID.
        """
        whole = path.resolve()
        source = cls(_stem(whole.name), str(whole), um_per_px, simulated=False)
        said = source._sidecar()
        source.name = said.lot_id or source.name
        source.simulated, source.attributes = said.simulated, said.attributes
        if um_per_px is None:
            source.um_per_px = said.um_per_px
        return source

    def _sidecar(self) -> LotSidecar:
        for member in self._members():
            if PurePosixPath(member).name == SIDECAR:
                try:
                    return LotSidecar.model_validate_json(self.read(member))
                except ValueError:
                    raise InvalidRequest(
                        "LOT_SIDECAR_INVALID", f"{member} in {self.source} cannot be read."
                    ) from None
        return LotSidecar()

    def _archive(self) -> zipfile.ZipFile | tarfile.TarFile:
        if self._opened is None:
            try:
                # Open as long as the source is: a tar that is packed is read from its beginning.
                self._opened = (
                    zipfile.ZipFile(self.source)
                    if zipfile.is_zipfile(self.source)
                    else tarfile.open(self.source)  # noqa: SIM115
                )
            except (OSError, zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
                raise InvalidRequest(
                    "ARCHIVE_INVALID", f"{self.source} cannot be read: {error}."
                ) from None
        return self._opened  # type: ignore[no-any-return]

    def _members(self) -> list[str]:
        with self._lock:
            archive = self._archive()
            try:
                if isinstance(archive, zipfile.ZipFile):
                    names = [each.filename for each in archive.infolist() if not each.is_dir()]
                else:
                    names = [each.name for each in archive.getmembers() if each.isfile()]
            except (tarfile.TarError, EOFError, OSError) as error:
                raise InvalidRequest(
                    "ARCHIVE_INVALID", f"{self.source} cannot be read: {error}."
                ) from None
        return sorted(names)

    def found(self) -> Iterator[FoundTile]:
        """See `LotSource`."""
        self.unreadable.clear()
        for member in self._members():
            if not _may_be_tile(PurePosixPath(member).name):
                continue
            try:
                with self._lock, self._open(member) as file:
                    yield _found(member, file)
            except (OSError, zipfile.BadZipFile, tarfile.TarError, EOFError, RuntimeError) as error:
                self.unreadable.append(Unreadable(member, str(error)))

    def _open(self, member: str) -> IO[bytes]:
        archive = self._archive()
        if isinstance(archive, zipfile.ZipFile):
            return archive.open(member)
        file = archive.extractfile(member)
        if file is None:
            raise OSError(f"{member} is no file")
        return file

    def read(self, path: str) -> bytes:
        """See `LotSource`."""
        try:
            with self._lock, self._open(path) as file:
                return file.read(MAX_READ_BYTES)
        except (OSError, KeyError, zipfile.BadZipFile, tarfile.TarError, EOFError, RuntimeError):
            return b""

    def beside(self, path: str) -> Path | None:
        """See `LotSource`."""
        return None


def _may_be_tile(name: str) -> bool:
    if name.startswith(".") or name == COMPLETE:
        return False
    return PurePosixPath(name).suffix.lower() not in NOT_TILES


def _found(path: str, file: IO[bytes]) -> FoundTile:
    digest, size = hashlib.sha256(), 0
    while block := file.read(1 << 20):
        digest.update(block)
        size += len(block)
    name = PurePosixPath(path).name
    row, column = place_of(name)
    return FoundTile(
        sha256=digest.hexdigest(), tile_id=name, path=path, bytes=size, row=row, column=column
    )


def _stem(name: str) -> str:
    for ending in sorted(ARCHIVES, key=len, reverse=True):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name
