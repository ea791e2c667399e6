"""From secondary-electron yield to grey levels: beam, scan, charging, detector, noise.

Order and defaults follow ARTIMAGEN (Cizmar et al., Scanning 30, 381 (2008)): blur, drift and
vibration, then noise. ARTIMAGEN's noise of 0.08 is that of one scanned pixel; a tile's pixel is
the mean of 4 x 4 of them (1024 px over 256 um, averaged to 256 px), which leaves 0.02, and the
electrons' own noise comes on top: together about 0.03 of the grey range at mid grey.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from lotwise_simulator.compiled import compiled
from lotwise_simulator.instrument import InstrumentState

CHARGE_DECAY_PX: Final = 35.0
"""Length along the scan line over which charge leaks away."""
CHARGE_THRESHOLD: Final = 0.62
"""Yield above which a spot charges up."""
SHARPEST_SIGMA_PX: Final = 0.1
"""A beam narrower than this touches one pixel only; a Gaussian of width 0 cannot be sampled."""
DRIFT_MEMORY: Final = 0.7
"""Correlation of the displacements of successive lines."""


def acquire(
    secondary_electron_yield: NDArray[np.float32],
    instrument: InstrumentState,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Scan a yield image with a microscope.

    Args:
        secondary_electron_yield: float32 (h, w), 1 the detector's full scale at gain 1.
        instrument: state of the microscope.
        rng: source of noise, drift and charging.

    Returns:
        uint8 (h, w).

    Raises:
        ValueError: the yield is not a two-dimensional, finite array.
    """
    signal = np.asarray(secondary_electron_yield, dtype=np.float32)
    if signal.ndim != 2 or not np.isfinite(signal).all():
        raise ValueError(f"the yield must be a finite (h, w) array, got shape {signal.shape}")
    for axis, stretch in ((0, 1.0 - instrument.astigmatism), (1, 1.0 + instrument.astigmatism)):
        sigma = instrument.beam_sigma_px * stretch
        if sigma > SHARPEST_SIGMA_PX:
            signal = gaussian_filter1d(signal, sigma, axis=axis, mode="reflect", truncate=3.0)

    lines = rng.standard_normal((3, len(signal)), dtype=np.float32)
    scanned = np.empty_like(signal)
    _scan(
        signal,
        np.float32(instrument.drift_px) * lines[0],
        np.float32(instrument.charging) * (1.0 + 0.5 * lines[1]),
        np.float32(instrument.charging) * np.float32(0.2) * lines[2],
        scanned,
    )
    counts = rng.poisson(instrument.dose * np.maximum(scanned, 0.0))
    grey = counts.astype(np.float32) * np.float32(instrument.gain / instrument.dose)
    grey += np.float32(instrument.noise_sigma) * rng.standard_normal(grey.shape, dtype=np.float32)
    grey += np.float32(instrument.offset)
    return np.rint(grey.clip(0.0, 1.0) * 255.0).astype(np.uint8)


@compiled
def _scan(
    signal: NDArray[np.float32],
    kicks: NDArray[np.float32],
    streak: NDArray[np.float32],
    flicker: NDArray[np.float32],
    scanned: NDArray[np.float32],
) -> None:
    """Read the signal line by line: displaced along x, with streaks behind bright spots.

    A spot above the threshold leaves charge that adds to the pixels scanned after it on the same
    line and leaks away exponentially; each line takes it up differently, hence streaks.
    """
    height, width = signal.shape
    decay = np.float32(np.exp(-1.0 / CHARGE_DECAY_PX))
    memory = np.float32(DRIFT_MEMORY)
    one = np.float32(1.0)
    fresh = np.sqrt(one - memory * memory)
    threshold = np.float32(CHARGE_THRESHOLD)
    last = np.float32(width - 1)
    shift = np.float32(0.0)
    for row in range(height):
        shift = memory * shift + fresh * kicks[row]
        charge = np.float32(0.0)
        for column in range(width):
            x = min(max(np.float32(column) + shift, np.float32(0.0)), last)
            left = min(int(x), width - 2)
            weight = x - np.float32(left)
            value = (one - weight) * signal[row, left] + weight * signal[row, left + 1]
            scanned[row, column] = value + streak[row] * charge + flicker[row]
            charge = decay * charge + max(value - threshold, np.float32(0.0))
