"""Finds the networks that a fine-tuning begins with: of a run, or of a model repository."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lotwise_training.store.checkpoint import CHECKPOINTS_OF, CheckpointError, load_finished
from lotwise_training.training.pretrained import Pretrained


def find_pretrained(folder: Path, model: str) -> tuple[Pretrained, ...]:
    """Finished networks of a model.

    Args:
        folder: A model repository, or a folder of runs.
        model: "committee" or "regressor".

    Returns:
        The committee's members, or the regressor alone.

    Raises:
        CheckpointError: The folder holds none, or an unfinished one.
    """
    if (folder / model / "config.pbtxt").exists():
        # Here, because it needs ONNX and a package of serving, which no training does.
        from lotwise_training.export.restore import restore_committee, restore_regressors

        with tempfile.TemporaryDirectory() as runs:
            restore = {"committee": restore_committee, "regressor": restore_regressors}[model]
            restore(folder, Path(runs))
            return _read(Path(runs), model, str(folder))
    return _read(folder, model, str(folder))


def _read(runs: Path, model: str, source: str) -> tuple[Pretrained, ...]:
    paths = sorted(runs.glob(CHECKPOINTS_OF[model]))
    if not paths:
        raise CheckpointError(
            f"{source} holds no {model} to begin with: name a model repository, or a folder of runs"
        )
    return tuple(
        Pretrained(f"{source}/{path.stem}", load_finished(path, model, model)["network"])
        for path in paths
    )
