"""Calibrations of the committees that are served, read once each from the model repository."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lotwise.core.calibration import CALIBRATION_FILE, Calibrated, read_calibration
from lotwise.core.cascade import CASCADE_FILE, Cascade
from lotwise.core.diagnosis import DIAGNOSIS_FILE, Diagnosis
from lotwise.core.errors import Contradiction


@dataclass(frozen=True, eq=False)
class FittedParts:
    """A cascade and what it goes by.

    Attributes:
        cascade: When the first members are enough.
        first: Their calibration.
        whole: The calibration of all members.
    """

    cascade: Cascade
    first: Calibrated
    whole: Calibrated


class Calibrations:
    """By the committee's name.

    Args:
        repository: The model repository.
    """

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._read: dict[str, Calibrated] = {}
        self._diagnoses: dict[str, Diagnosis | None] = {}
        self._cascades: dict[str, FittedParts] = {}

    def of(self, model: str) -> Calibrated:
        """The calibration beside a committee.

        Raises:
            Contradiction: CALIBRATION_MISSING or CALIBRATION_INVALID.
        """
        if model not in self._read:
            # Compared with what is there: a name from a request never becomes a path.
            names = {path.parent.name for path in self._repository.glob(f"*/{CALIBRATION_FILE}")}
            if model not in names:
                raise Contradiction(
                    "CALIBRATION_MISSING",
                    f"Committee '{model}' is not calibrated: there is no {CALIBRATION_FILE} in its "
                    f"folder of {self._repository}. Calibrate it with `lotwise calibrate`.",
                )
            self._read[model] = read_calibration(self._repository / model)
        return self._read[model]

    def cascade_of(self, model: str) -> FittedParts:
        """The cascade beside a committee, with the calibrations that it goes by.

        Raises:
            Contradiction: CASCADE_MISSING, CASCADE_INVALID, CASCADE_MISMATCH, and as `of`.
        """
        if model not in self._cascades:
            whole = self.of(model)
            cascade = Cascade.read(self._repository / model / CASCADE_FILE)
            if cascade is None:
                raise Contradiction(
                    "CASCADE_MISSING",
                    f"Committee '{model}' has no cascade: there is no {CASCADE_FILE} in its folder "
                    f"of {self._repository}. Fit one with `lotwise calibrate`, or ask the whole "
                    "committee.",
                )
            first = self.of(cascade.first)
            cascade.check(whole, first)
            self._cascades[model] = FittedParts(cascade, first, whole)
        return self._cascades[model]

    def diagnosis_of(self, model: str, weights_sha256: str) -> Diagnosis | None:
        """The diagnosis beside a calibrated committee; None where there is none for its weights.

        Args:
            model: Name of a committee, as `of` has accepted it.
            weights_sha256: Of the committee.

        Raises:
            Contradiction: DIAGNOSIS_INVALID or DIAGNOSIS_MISMATCH.
        """
        if model not in self._diagnoses:
            self._diagnoses[model] = Diagnosis.read(self._repository / model / DIAGNOSIS_FILE)
        diagnosis = self._diagnoses[model]
        if diagnosis is not None:
            diagnosis.check_weights(weights_sha256)
        return diagnosis
