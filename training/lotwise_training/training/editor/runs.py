"""Where trained editors lie, and which of them is served."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lotwise_training.models.editors import NETWORKS, EditorNetwork
from lotwise_training.store.checkpoint import CheckpointError, load_finished

RUN: Final = "editor"
"""Folder of the editors and of the meter."""
READER: Final = f"{RUN}/reader"
"""Name of the network that leads an editor."""
SERVED_FILE: Final = "served.txt"
"""Beside the editors: the kind of the one that is served."""


def editor_name(kind: str) -> str:
    """Name of the editor of a kind."""
    return f"{RUN}/{kind}"


def load_editor(path: Path) -> EditorNetwork:
    """A finished editor, on the CPU, in evaluation mode, large weights rounded to float16.

    Raises:
        CheckpointError: There is none, or it is unfinished.
    """
    state = load_finished(path, "editor", "editor")
    network = NETWORKS[state["kind"]](state["dim"], state["n_attributes"])
    network.load_state_dict(state["network"])
    return network.eval()


def write_served(runs: Path, kind: str) -> None:
    """Note which of the trained editors is served."""
    path = runs / RUN / SERVED_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(kind + "\n", encoding="utf-8")


def read_served(runs: Path) -> str:
    """The kind of the editor that is served.

    Raises:
        CheckpointError: No editor has been trained.
    """
    path = runs / RUN / SERVED_FILE
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        raise CheckpointError(f"there is no {path}; `lotwise-train editor` makes it") from None
