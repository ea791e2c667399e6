"""Which files the members of a model are: all of its own, or some of another model's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import MappingProxyType
from typing import Final

from lotwise.core.errors import Contradiction

BRANCHED: Final = MappingProxyType({"committee": "logits", "regressor_folds": "property"})
"""Models whose members are branches, with the output that comes first, [B, K] of each member."""
MEMBERS_FILE: Final = "members.json"
"""Names members of another model; see `chosen_members`."""

_MEMBER: Final = re.compile(r"member_(\d+)\.onnx")


class AssemblyError(Contradiction):
    """Parts of a model are missing, unreadable, or do not belong together."""

    def __init__(self, message: str) -> None:
        super().__init__("ASSEMBLY_FAILED", message)


def find_members(folder: Path) -> list[Path]:
    """The files ``member_<n>.onnx`` of ``folder`` by number.

    Raises:
        AssemblyError: there is none, or a number is missing between the first and the last.
    """
    numbered = {
        int(match[1]): path
        for path in folder.glob("member_*.onnx")
        if (match := _MEMBER.fullmatch(path.name))
    }
    if not numbered:
        raise AssemblyError(f"{folder} holds no member_<n>.onnx")
    missing = sorted(set(range(min(numbered), max(numbered) + 1)) - set(numbered))
    if missing:
        raise AssemblyError(f"{folder} lacks member_{missing[0]}.onnx")
    return [numbered[number] for number in sorted(numbered)]


def chosen_members(path: Path, root: Path) -> tuple[list[Path], str]:
    """The members that a ``members.json`` names, and the name of their first output.

    The file holds ``{"model": "committee", "version": "1", "members": [0, 1]}``.

    Args:
        path: the file.
        root: folder of the models that it names.

    Raises:
        AssemblyError: it cannot be read, or names what is not there.
    """
    try:
        said = json.loads(read_part(path))
        model, version = str(said["model"]), str(said["version"])
        numbers = [int(number) for number in said["members"]]
        output = BRANCHED[model]
    except (ValueError, TypeError, KeyError) as error:
        raise AssemblyError(f"{path} names no members of a model: {error!r}") from error
    members = find_members(root / model / version)
    if not numbers or not set(numbers) <= set(range(len(members))):
        raise AssemblyError(f"{path} names the members {numbers} of {len(members)}")
    return [members[number] for number in numbers], output


def read_part(path: Path) -> bytes:
    """Content of a part of a model.

    Raises:
        AssemblyError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise AssemblyError(f"{path} cannot be read: {error.strerror}") from error
