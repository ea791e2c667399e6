"""The two models that a cascade asks: the first members of a committee, and the others.

Both are made at set-up from the members' own files, so no weight is stored twice.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Final

from lotwise.core.cascade import part_sha256
from lotwise.core.signature import ModelSignature
from lotwise.runtime.members import MEMBERS_FILE
from lotwise.runtime.model_config import write_pbtxt

FIRST: Final = "first"
REST: Final = "rest"
CARD: Final = "MODEL_CARD.md"
LEAST_MEMBERS: Final = 3
"""A committee of fewer has none to spare."""


def first_count(members: int) -> int:
    """How many members are asked first: a quarter, but two at least, so that they can disagree.

    Args:
        members: Of the whole committee.
    """
    return max(2, members // 4)


def part_name(committee: str, part: str) -> str:
    """Name of the model that holds a part of a committee.

    Args:
        committee: Its name.
        part: FIRST or REST.
    """
    return f"{committee}_{part}"


def write_cascade_models(repository: Path, committee: ModelSignature, version: str) -> None:
    """Write both models, or remove them where the committee is too small for a cascade.

    Args:
        repository: The model repository; the committee is in it.
        committee: Its signature.
        version: Folder of its version.
    """
    members = committee.metadata.members or 0
    few = first_count(members)
    parts = {FIRST: list(range(few)), REST: list(range(few, members))}
    for part, numbers in parts.items():
        name = part_name(committee.name, part)
        folder = repository / name
        if members < LEAST_MEMBERS:
            shutil.rmtree(folder, ignore_errors=True)
            continue
        (folder / version).mkdir(parents=True, exist_ok=True)
        said = {"model": committee.name, "version": version, "members": numbers}
        (folder / version / MEMBERS_FILE).write_text(json.dumps(said) + "\n", encoding="utf-8")
        for output in committee.outputs:
            if output.label_file:
                shutil.copy(repository / committee.name / output.label_file, folder)
        signature = _part(committee, name, numbers)
        write_pbtxt(signature, folder / "config.pbtxt")
        (folder / CARD).write_text(_card(committee, signature, numbers), encoding="utf-8")


def _card(committee: ModelSignature, part: ModelSignature, members: list[int]) -> str:
    named = ", ".join(map(str, members))
    what = "are asked first" if members[0] == 0 else "are asked where the first are not enough"
    return (
        f"# {part.name}\n\nMembers {named} of `{committee.name}`, which {what} in a cascade. Its "
        f"card, ../{committee.name}/{CARD}, says how they were trained and measured; set-up makes "
        "the graph of its members' files.\n\n"
        f"- Weights: `{part.metadata.weights_sha256}`, a hash of the committee's and the numbers "
        "of the members\n"
    )


def _part(committee: ModelSignature, name: str, members: list[int]) -> ModelSignature:
    outputs = tuple(
        output.model_copy(update={"shape": (len(members), *output.shape[1:])})
        for output in committee.outputs
    )
    metadata = committee.metadata.model_copy(
        update={
            "members": len(members),
            "weights_sha256": part_sha256(committee.metadata.weights_sha256, members),
        }
    )
    return committee.model_copy(update={"name": name, "outputs": outputs, "metadata": metadata})
