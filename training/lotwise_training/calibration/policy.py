"""Calibrates the trained committee and fits its referral policy.

With the code that `lotwise calibrate` uses (`lotwise.core.calibration_fit`). Nothing is fitted on
shifted tiles: how they will differ is what nobody knows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from torch import nn

from lotwise.core.calibration import (
    CALIBRATION_FILE,
    FAMILIARITY_FILE,
    read_calibration,
    write_calibration,
)
from lotwise.core.calibration_fit import (
    Fitted,
    LabelledTiles,
    calibrate,
    check_tiles,
    tiles_sha256,
)
from lotwise.core.committee_outputs import CommitteeOutputs
from lotwise.core.errors import InvalidRequest
from lotwise.core.policy import PolicyRequest, ReferralPolicy, write_policy
from lotwise_training.config.schema import PolicyRecipe
from lotwise_training.data.splits import Split, classes, labels
from lotwise_training.data.tiles import SIMULATED, Images, Numbers, TileDataset

POLICY_FILE: Final = "referral_policy.json"
FILES: Final = (CALIBRATION_FILE, FAMILIARITY_FILE, POLICY_FILE)
"""What a calibration leaves beside its committee."""


@dataclass(frozen=True, eq=False)
class PredictedTiles:
    """Known tiles with the committee's outputs.

    Attributes:
        images: uint8 [N, px, px].
        labels: int64 [N], by the place in the logits.
        outputs: Of the N tiles.
    """

    images: Images
    labels: Numbers
    outputs: CommitteeOutputs


def fit_committee(
    tiles: PredictedTiles,
    measured: PredictedTiles,
    recipe: PolicyRecipe,
    *,
    lot_ids: Sequence[str],
    origins: Sequence[str],
    weights_sha256: str,
) -> Fitted:
    """Calibrate a committee.

    Args:
        tiles: Nothing was trained on them.
        measured: Nothing is fitted on them; the policy is measured there.
        recipe: What the policy must do.
        lot_ids: Names of the committee's lots.
        origins: By lot, where it comes from.
        weights_sha256: The committee, 64 hexadecimal digits.

    Raises:
        InvalidRequest: The tiles are too few, see `lotwise.core.calibration_fit.check_tiles`.
        Contradiction: POLICY_UNREACHABLE.
    """
    labelled = LabelledTiles(
        outputs=tiles.outputs,
        labels=tiles.labels,
        lot_ids=tuple(lot_ids),
        sha256=tiles_sha256(tiles.images, tiles.labels, lot_ids),
        date=datetime.now(UTC).replace(microsecond=0),
        origin="simulated" if SIMULATED in origins else "laboratory",
    )
    return calibrate(
        labelled, policy_request(recipe), weights_sha256, (measured.outputs, measured.labels)
    )


def calibration_shortage(
    data: TileDataset, split: Split, recipe: PolicyRecipe
) -> InvalidRequest | None:
    """Why the tiles that are kept to calibrate on cannot carry a policy; None where they can."""
    tiles = split.calibration
    if not len(tiles):
        return InvalidRequest("CALIBRATION_LOT_TOO_SMALL", split.remarks[-1])
    known = classes(split, data)
    names = [data.table.lot_ids[lot] for lot in known]
    try:
        check_tiles(labels(data.lots[tiles], known), names, policy_request(recipe))
    except InvalidRequest as error:
        return error
    return None


def policy_request(recipe: PolicyRecipe) -> PolicyRequest:
    """A recipe's policy as `lotwise calibrate` asks for it."""
    return PolicyRequest.model_validate(
        {name: getattr(recipe, name) for name in PolicyRequest.model_fields}
    )


def write_fitted(fitted: Fitted, folder: Path) -> None:
    """Write the three files beside a committee."""
    write_calibration(fitted.calibrated, folder)
    write_policy(fitted.policy, folder / POLICY_FILE)


def read_fitted(folder: Path) -> Fitted:
    """What `write_fitted` wrote.

    Raises:
        Contradiction: A file is missing or invalid.
    """
    return Fitted(read_calibration(folder), ReferralPolicy.read(folder / POLICY_FILE))


def committee_sha256(members: Sequence[nn.Module]) -> str:
    """Hash of the members' weights: names, shapes and values, running statistics included."""
    digest = hashlib.sha256()
    for number, member in enumerate(members):
        for name, tensor in sorted(member.state_dict().items()):
            values = tensor.detach().cpu().numpy()
            digest.update(f"{number} {name} {values.shape}".encode())
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
