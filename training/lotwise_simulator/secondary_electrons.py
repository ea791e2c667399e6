"""Secondary-electron yield of a surface, before beam, noise and detector.

    yield = base * [1 + tilt * (cos(theta)^-n - 1)] * (1 + side * n_detector)
            * (1 + edge * convexity) * openness * (1 - shadow) * marks

- ``cos(theta)^-n`` is the classical tilt law, with n = 1 as for light elements, clipped at 78
  degrees (Seiler, J. Appl. Phys. 54, R1 (1983)). ``tilt`` tempers it: a detector compresses the
  range.
- ``n_detector`` is the normal's component towards the detector: faces turned away are darker.
- ``convexity`` is how far the surroundings fall below the tangent plane: electrons leave through
  both sides of an edge, which is bright; a re-entrant groove is dark. An edge gain and a base with
  10 % variation are ARTIMAGEN's model (Cizmar et al., Scanning 30, 381 (2008)); base and gain are
  set by eye, so that a mid-grey tile clips about a percent of its pixels.
- ``openness`` falls with the depth below the local mean height: deep gaps keep their electrons.
- ``shadow`` is cast by what stands between the spot and the detector, softly, because the
  detector's field bends the slow electrons' paths.
- ``marks`` are growth steps and cracks (faces.py). Fracture faces are rougher and a little duller.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from lotwise_simulator.compiled import compiled
from lotwise_simulator.crystals import FACETS, Crystals
from lotwise_simulator.render import Surface

BASE: Final = 0.36
FLOOR_YIELD: Final = 0.1
TILT_GAIN: Final = 0.30
MAX_TILT_DEG: Final = 78.0
SIDE_GAIN: Final = 0.30
DETECTOR_DIRECTION: Final = (0.8, -0.6)
"""Unit vector in the image plane (x to the right, y down) towards the detector."""
EDGE_GAIN: Final = 0.42
EDGE_REACH_UM: Final = 1.2
"""Fall below the tangent plane, a pixel away, that counts as a full edge."""
SHADOW_DEPTH: Final = 0.38
"""Share of the yield that a full shadow takes."""
SHADOW_REACH_PX: Final = (3, 6, 10, 16, 25, 40)
"""Distances at which the view towards the detector is tested."""
SHADOW_SLOPE: Final = 0.8
"""Rise over distance from which an obstacle begins to shade; it shades fully at the double."""
FRACTURE_ROUGHNESS: Final = 3.0
"""Slopes of a fracture face's relief over those of a grown face."""
FRACTURE_DULLNESS: Final = 0.88
ROUGHNESS: Final = 0.07
"""Root-mean-square slope of the crystals' fine relief."""
RELIEF_PX: Final = 256


def secondary_electron_yield(
    surface: Surface, crystals: Crystals, marks: NDArray[np.float32], diameter_um: float
) -> NDArray[np.float32]:
    """Yield at each pixel, float32 (h, w), 0 to about 3.

    1 is the detector's full scale at gain 1; a percent or two of the pixels, bright edges, exceed
    it.

    Args:
        surface: what the beam meets.
        crystals: the bodies, for their base brightness.
        marks: float32 (h, w), factor of the marks on the faces.
        diameter_um: mean diameter; the scale on which a gap counts as deep.
    """
    # Two box filters make a nearly Gaussian mean at a cost that does not grow with its width.
    window = int(np.clip(1.2 * diameter_um, 9.0, 81.0)) | 1
    mean_height = uniform_filter(surface.height, window, mode="wrap")
    mean_height = uniform_filter(mean_height, window, mode="wrap")
    grey: NDArray[np.float32] = np.empty_like(surface.height)
    _yield(
        surface.height,
        surface.normal,
        surface.crystal,
        surface.facet,
        crystals.brightness,
        mean_height,
        np.float32(diameter_um),
        _RELIEF,
        _SHADOW_STEPS,
        marks,
        grey,
    )
    return grey


def _relief() -> NDArray[np.float32]:
    """Slopes (RELIEF_PX, RELIEF_PX, 2) of a periodic rough relief shared by all crystals.

    Each crystal reads it at its own offset, so that no two show the same patch.
    """
    rng = np.random.default_rng(20_240_501)
    frequency = np.fft.fftfreq(RELIEF_PX)
    radius = np.hypot(frequency[:, None], frequency[None, :])
    # Power law between wavelengths of 30 and 3 px: mottled like etched faces, neither smooth
    # nor white.
    amplitude = np.where((radius > 1 / 30) & (radius < 1 / 3), np.maximum(radius, 1e-3) ** -1.6, 0)
    phase = np.fft.fft2(rng.standard_normal((RELIEF_PX, RELIEF_PX)))
    spectrum = phase * amplitude * 2j * np.pi
    slopes = np.stack(
        [
            np.fft.ifft2(spectrum * frequency[None, :]).real,
            np.fft.ifft2(spectrum * frequency[:, None]).real,
        ],
        axis=2,
    )
    # Rounded, because the last bits of a power and of a Fourier transform depend on the processor.
    return np.asarray(np.round(slopes * (ROUGHNESS / slopes.std()), 5), dtype=np.float32)


_RELIEF: Final = _relief()
_SHADOW_STEPS: Final = np.array(
    [
        [round(reach * DETECTOR_DIRECTION[1]), round(reach * DETECTOR_DIRECTION[0]), reach]
        for reach in SHADOW_REACH_PX
    ],
    dtype=np.int64,
)
"""Rows, columns and distance, px, of each place looked at."""


@compiled
def _yield(
    height: NDArray[np.float32],
    normal: NDArray[np.float32],
    crystal: NDArray[np.int32],
    facet: NDArray[np.int8],
    brightness: NDArray[np.float32],
    mean_height: NDArray[np.float32],
    diameter_um: np.float32,
    relief: NDArray[np.float32],
    shadow_steps: NDArray[np.int64],
    marks: NDArray[np.float32],
    grey: NDArray[np.float32],
) -> None:
    """Fill ``grey``."""
    side = height.shape[0]
    one = np.float32(1.0)
    zero = np.float32(0.0)
    eighth = np.float32(0.125)
    max_slope = np.float32(2.5)
    reach = np.float32(EDGE_REACH_UM)
    min_cosine = np.float32(np.cos(np.deg2rad(MAX_TILT_DEG)))
    tilt_gain = np.float32(TILT_GAIN)
    edge_gain = np.float32(EDGE_GAIN)
    side_x = np.float32(SIDE_GAIN * DETECTOR_DIRECTION[0])
    side_y = np.float32(SIDE_GAIN * DETECTOR_DIRECTION[1])
    depth_scale = np.float32(1.25) / diameter_um
    base = np.float32(BASE)
    floor = np.float32(FLOOR_YIELD)
    mask = RELIEF_PX - 1
    for row in range(side):
        up = row - 1 if row > 0 else side - 1
        down = row + 1 if row + 1 < side else 0
        for column in range(side):
            left = column - 1 if column > 0 else side - 1
            right = column + 1 if column + 1 < side else 0
            h = height[row, column]
            openness = one + depth_scale * (h - mean_height[row, column])
            openness = min(max(openness, np.float32(0.12)), np.float32(1.12))
            i = crystal[row, column]
            if i < 0:
                grey[row, column] = floor * openness
                continue
            nx, ny, nz = normal[row, column, 0], normal[row, column, 1], normal[row, column, 2]
            steep = one / max(nz, np.float32(0.2))
            slope_x = min(max(-nx * steep, -max_slope), max_slope)
            slope_y = min(max(-ny * steep, -max_slope), max_slope)
            convexity = zero
            for a in range(3):
                r = up if a == 0 else (row if a == 1 else down)
                along_y = slope_y * np.float32(a - 1)
                for b in range(3):
                    c = left if b == 0 else (column if b == 1 else right)
                    fall = (h + along_y + slope_x * np.float32(b - 1) - height[r, c]) / reach
                    convexity += min(max(fall, -one), one)
            convexity *= eighth

            # The relief turns the normal a little; offsets are co-prime with its period.
            patch = relief[(row + 53 * i) & mask, (column + 101 * i) & mask]
            rough = one
            dull = one
            if facet[row, column] >= FACETS:
                rough = np.float32(FRACTURE_ROUGHNESS)
                dull = np.float32(FRACTURE_DULLNESS)
            mx = nx - rough * patch[0] * nz
            my = ny - rough * patch[1] * nz
            mz = nz + rough * (patch[0] * nx + patch[1] * ny)
            tilt = one + tilt_gain * (one / max(mz, min_cosine) - one)
            shadow = zero
            for k in range(len(shadow_steps)):
                r = (row + shadow_steps[k, 0]) % side
                c = (column + shadow_steps[k, 1]) % side
                rise = (height[r, c] - h) / (np.float32(SHADOW_SLOPE) * shadow_steps[k, 2])
                shadow = max(shadow, min(rise - one, one))
            grey[row, column] = (
                base
                * brightness[i]
                * tilt
                * (one + side_x * mx + side_y * my)
                * (one + edge_gain * convexity)
                * openness
                * (one - np.float32(SHADOW_DEPTH) * shadow)
                * dull
                * marks[row, column]
            )
