"""State of the microscope, kept apart from the material.

A filament change alters this and nothing else, so it shifts what a model sees (covariate shift)
while the lot, and hence its strength, stays what it was.
"""

from dataclasses import dataclass, fields, replace
from math import isfinite
from typing import Final


@dataclass(frozen=True, slots=True)
class InstrumentState:
    """How the microscope turns a secondary-electron yield into grey levels.

    Raises:
        ValueError: a value is not finite, a scale (gain, dose) is not positive, a magnitude is
            negative, or the astigmatism is 1 or more.
    """

    gain: float = 1.0
    """Grey range (0-1) per unit of yield."""
    offset: float = 0.0
    """Added to the signal, in units of the grey range."""
    dose: float = 900.0
    """Detected electrons per pixel at unit yield; the Poisson noise falls as its root."""
    beam_sigma_px: float = 0.8
    """Standard deviation of the beam, px (1 um each)."""
    astigmatism: float = 0.08
    """Relative difference of the beam's two axes."""
    drift_px: float = 0.2
    """Scale of the line-to-line displacement (drift and vibration), px."""
    noise_sigma: float = 0.02
    """Gaussian noise of the detector chain, in units of the grey range."""
    charging: float = 0.03
    """Strength of the streaks that bright edges leave along a scan line."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = float(getattr(self, field.name))
            if not isfinite(value):
                raise ValueError(f"{field.name} must be finite, got {value!r}")
            if field.name in ("gain", "dose") and value <= 0.0:
                raise ValueError(f"{field.name} must be positive, got {value!r}")
            if field.name != "offset" and value < 0.0:
                raise ValueError(f"{field.name} must not be negative, got {value!r}")
        if self.astigmatism >= 1.0:
            raise ValueError(f"astigmatism must be below 1, got {self.astigmatism!r}")


NOMINAL: Final = InstrumentState()


def after_filament_change(state: InstrumentState, strength: float = 1.0) -> InstrumentState:
    """The same microscope with a new filament that was not yet re-tuned.

    Only gain, offset, dose and beam width change: a dimmer, flatter, noisier and softer picture.
    ``strength`` 0 changes nothing, 1 is a plain filament change, 2 a badly seated one.

    Raises:
        ValueError: ``strength`` outside 0..2.
    """
    if not 0.0 <= strength <= 2.0:
        raise ValueError(f"strength must lie in 0..2, got {strength!r}")
    return replace(
        state,
        gain=state.gain * (1.0 - 0.28 * strength),
        offset=state.offset + 0.10 * strength,
        dose=state.dose * (1.0 - 0.40 * strength),
        beam_sigma_px=state.beam_sigma_px * (1.0 + 0.60 * strength),
    )
