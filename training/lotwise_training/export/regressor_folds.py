"""Exports the fold networks that intervals are made of, with the calibration of their intervals."""

from __future__ import annotations

import shutil

from lotwise.core.errors import Contradiction
from lotwise.core.intervals import IntervalCalibration
from lotwise.core.signature import ModelMetadata, ModelSignature, PropertySpec, TensorSpec
from lotwise_training.calibration.conformal import FOLDS, INTERVALS_FILE, load_folds
from lotwise_training.calibration.policy import committee_sha256
from lotwise_training.data.property_lots import STRENGTH_GEOMETRY
from lotwise_training.export.exporter import (
    Exporter,
    image_spec,
    learned_geometry,
    learned_property,
    simulated_lots,
)
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.tasks.property import fold_name


def export_folds(exporter: Exporter) -> None:
    """Write `regressor_folds`: its members, their calibration, config.pbtxt and card.

    A run whose lots were too few to hold any out has none; those of the run before are removed.

    Raises:
        CheckpointError: A network is missing or unfinished.
        ParityError: An exported graph does not compute what its network computes.
        Contradiction: INTERVALS_MISSING, INTERVALS_INVALID, or INTERVALS_MISMATCH where other
            networks were calibrated.
    """
    if not any(exporter.runs.glob(f"{fold_name(0)}.pt")):
        shutil.rmtree(exporter.repository / FOLDS, ignore_errors=True)
        return
    calibration = IntervalCalibration.read(exporter.runs / FOLDS / INTERVALS_FILE)
    networks = load_folds(exporter.runs, calibration.folds)
    weights = committee_sha256(networks)
    if calibration.weights_sha256 != weights:
        raise Contradiction(
            "INTERVALS_MISMATCH",
            "The intervals were calibrated for other fold networks. Run `lotwise-train regressor` "
            "first: it goes on from the networks that are there.",
        )
    parity = exporter.write_members(FOLDS, networks, exporter.tiles, ["property"])
    calibration.write(exporter.repository / FOLDS / INTERVALS_FILE)
    geometry = learned_geometry(checkpoint_path(exporter.runs, fold_name(0)), STRENGTH_GEOMETRY.px)
    learned = [learned_property(exporter.runs, network) for network in networks]
    signature = ModelSignature(
        name=FOLDS,
        inputs=(image_spec(geometry.px),),
        outputs=(TensorSpec(name="property", dtype="FP32", shape=(len(networks), 1)),),
        metadata=ModelMetadata(
            weights_sha256=weights,
            trained_on_simulated_lots=simulated_lots(exporter.runs),
            geometry=geometry,
            property=PropertySpec(
                name=learned[0].name,
                unit=learned[0].unit,
                minimum=min(each.minimum for each in learned),
                maximum=max(each.maximum for each in learned),
            ),
            members=len(networks),
        ),
        max_batch_size=8,
    )
    what = (
        f"{len(networks)} WRN-28-1 with a tanh head that each held other recipes out; intervals "
        f"are made of their answers and of {INTERVALS_FILE} (calibration "
        f"{calibration.calibration_version}: {len(calibration.lots):,} lots of "
        f"{calibration.recipes:,} recipes, {calibration.tiles_per_lot} tiles of each)"
    )
    exporter.describe(signature, parity, what)
