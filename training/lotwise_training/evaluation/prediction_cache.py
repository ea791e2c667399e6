"""Predictions of networks, cached beside the runs by the hash of weights and tiles.

Sixteen passes over thousands of tiles take minutes. A network that was trained again is evaluated
again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track

from lotwise.core.calibration import Calibrated, read_calibration
from lotwise.core.committee_outputs import LOGITS, CommitteeOutputs
from lotwise.core.policy import ReferralPolicy
from lotwise_training.calibration.policy import POLICY_FILE, committee_sha256
from lotwise_training.config.schema import CommitteeRecipe
from lotwise_training.data.tiles import Numbers
from lotwise_training.evaluation.predictions import CalibrationCheck, FreshPredictions, pool_logits
from lotwise_training.inference.predict import (
    CommitteePredictor,
    Floats,
    Images,
    MembersPredictor,
    dropout_logits,
    load_members,
    load_network,
)
from lotwise_training.store.arrays import Arrays, save_arrays
from lotwise_training.training.base import checkpoint_path
from lotwise_training.training.tasks.ensemble import DROPOUT_NAME, SERVED

FOLDER: Final = "ensemble-predictions"
"""Of the cache, among the runs."""
FRESH_AT_ONCE: Final = 1024
"""Fresh tiles whose features are held at once: tens of megabytes for 16 members."""


@dataclass(frozen=True)
class PredictionCache:
    """Networks of a run and their cached predictions.

    Attributes:
        runs: Folder of all runs.
        recipe: Of their training.
        calibrated: Calibration of the served ensemble; None before it has one.
        exported: The served ensemble, where it was trained elsewhere; None for that of the run.
    """

    runs: Path
    recipe: CommitteeRecipe
    calibrated: Calibrated | None = None
    exported: CommitteePredictor | None = None
    _served: dict[str, CommitteePredictor] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def with_calibration(
        cls, runs: Path, recipe: CommitteeRecipe, *, needed: bool
    ) -> PredictionCache:
        """A cache that gives the familiarity of tiles, too.

        Args:
            runs: Folder of all runs.
            recipe: Of the ensemble.
            needed: Whether an ensemble without a calibration is an error.

        Raises:
            Contradiction: The calibration is missing, invalid or of other members.
        """
        if not needed and not (runs / SERVED / POLICY_FILE).exists():
            return cls(runs, recipe)
        # First, so that what is missing altogether is named first.
        weights = committee_sha256(load_members(runs / SERVED)[0])
        calibrated = read_calibration(runs / SERVED)
        calibrated.check_weights(weights)
        return cls(runs, recipe, calibrated)

    def predict_members(self, folder: str, images: Images, title: str) -> Floats:
        """Logits of the ensemble in a folder, float32 [N, T, K]."""
        members, _ = load_members(self.runs / folder)
        ensemble = MembersPredictor(members, committee_sha256(members))
        return self._outputs(ensemble, images, f"{title}, ensemble").logits

    def predict(self, images: Images, title: str | None = None) -> CommitteeOutputs:
        """Logits and features of the served ensemble.

        Args:
            images: uint8 [N, px, px].
            title: Of a progress bar.
        """
        return self._outputs(self._ensemble(), images, title)

    def familiarity(self, outputs: CommitteeOutputs) -> npt.NDArray[np.float64] | None:
        """P-values of tiles, float64 [N]; None without a calibration."""
        return None if self.calibrated is None else self.calibrated.familiarity.p_values(outputs)

    def predict_fresh(
        self,
        images: Images,
        labels: Numbers,
        calibrated: Calibrated,
        policy: ReferralPolicy,
        *,
        at_once: int = FRESH_AT_ONCE,
    ) -> CalibrationCheck:
        """Predictions of fresh tiles by the served ensemble, without their features.

        Args:
            images: uint8 [N, px, px], of known lots.
            labels: int64 [N], classes.
            calibrated: The calibration to evaluate.
            policy: Fitted with it.
            at_once: Tiles whose features are held in memory at once.

        Raises:
            Contradiction: The calibration is of another ensemble.
        """
        ensemble = self._ensemble()
        calibrated.check_weights(ensemble.weights_sha256)
        key = f"{ensemble.weights_sha256}-{calibrated.calibration.familiarity_sha256}"

        def predict() -> Arrays:
            log_probabilities, familiarity = [], []
            starts = range(0, len(images), at_once)
            for at in track(starts, "fresh tiles, ensemble", console=Console(stderr=True)):
                outputs = ensemble.outputs(images[at : at + at_once])
                log_probabilities.append(pool_logits(outputs.logits).log_probabilities)
                familiarity.append(calibrated.familiarity.p_values(outputs).astype(np.float32))
            return {
                "log_probabilities": np.concatenate(log_probabilities),
                "familiarity": np.concatenate(familiarity),
            }

        fresh = FreshPredictions(labels.astype(np.int16), **self._cached(key, images, predict))
        return CalibrationCheck(fresh, calibrated.calibration, policy)

    def _ensemble(self) -> CommitteePredictor:
        if self.exported is not None:
            return self.exported
        members, _ = load_members(self.runs / SERVED)
        weights = committee_sha256(members)
        if weights not in self._served:
            self._served[weights] = MembersPredictor(members, weights)
        return self._served[weights]

    def predict_dropout(self, folder: str, images: Images, title: str) -> Floats:
        """Logits of the dropout network in a folder, one pass after another, float32 [N, T, K]."""
        network, _ = load_network(checkpoint_path(self.runs / folder, DROPOUT_NAME))
        passes, seed = self.recipe.dropout_passes, self.recipe.network.seed
        key = f"{committee_sha256([network])}-{passes}-{seed}"

        def predict() -> Arrays:
            return {
                LOGITS: dropout_logits(network, images, passes, seed, title=f"{title}, dropout")
            }

        return self._cached(key, images, predict)[LOGITS]

    def _outputs(
        self, ensemble: CommitteePredictor, images: Images, title: str | None
    ) -> CommitteeOutputs:
        def predict() -> Arrays:
            outputs = ensemble.outputs(images, title)
            return {LOGITS: outputs.logits, **outputs.blocks}

        return CommitteeOutputs.of(self._cached(ensemble.weights_sha256, images, predict))

    def _cached(self, key: str, images: Images, predict: Callable[[], Arrays]) -> Arrays:
        """Arrays by name, of what makes them and the tiles; made where they are not stored yet."""
        digest = hashlib.sha256(key.encode())
        digest.update(np.ascontiguousarray(images).data)
        path = self.runs / FOLDER / f"{digest.hexdigest()[:20]}.npz"
        if not path.exists():
            save_arrays(path, predict())
        with np.load(path) as stored:
            return {name: stored[name] for name in stored.files}
