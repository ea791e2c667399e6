"""The cascade of a committee in a model repository: fitted with its calibration, kept beside it."""

from __future__ import annotations

from pathlib import Path

from lotwise.core.calibration import CALIBRATION_FILE, FAMILIARITY_FILE, write_calibration
from lotwise.core.calibration_fit import Fitted, LabelledTiles
from lotwise.core.cascade import CASCADE_FILE, CASCADE_POLICY_FILE
from lotwise.core.cascade_fit import FittedCascade, fit_cascade
from lotwise.core.errors import Contradiction
from lotwise.core.policy import write_policy
from lotwise.runtime.cascade_models import FIRST, REST, part_name
from lotwise.runtime.model_config import read_pbtxt


def fit_beside(
    repository: Path, model: str, tiles: LabelledTiles, fitted: Fitted
) -> FittedCascade | None:
    """Fit the cascade of a committee.

    Args:
        repository: The model repository.
        model: Name of the committee.
        tiles: That it was calibrated on, and what all its members say of them.
        fitted: Its calibration and policy.

    Returns:
        The cascade; None where the repository does not hold its models, or the tiles are too few to
        show that it decides as the whole committee, or for a policy of its own.

    Raises:
        Contradiction: A model of the cascade is none of ours.
    """
    first, rest = (part_name(model, part) for part in (FIRST, REST))
    config = repository / first / "config.pbtxt"
    if not config.exists():
        return None
    members = read_pbtxt(config).metadata.members
    if members is None:
        return None
    try:
        return fit_cascade(tiles, fitted, members, first, rest)
    except Contradiction:
        return None  # the whole committee reaches its policy, the cascade just does not


def write_cascade(found: FittedCascade | None, folder: Path, first: Path) -> None:
    """Write a cascade; where there is none, remove what an earlier calibration left.

    Args:
        found: The cascade.
        folder: Of the committee's calibration.
        first: Of the calibration of its first members.
    """
    if found is None:
        for name in (CASCADE_FILE, CASCADE_POLICY_FILE):
            (folder / name).unlink(missing_ok=True)
        for name in (CALIBRATION_FILE, FAMILIARITY_FILE):
            (first / name).unlink(missing_ok=True)
        return
    write_calibration(found.first, first)
    found.cascade.write(folder / CASCADE_FILE)
    write_policy(found.policy, folder / CASCADE_POLICY_FILE)
