"""Faults of single images, for the quality check to reject: each a function image -> image.

All take and return uint8 (h, w), leave their input alone and raise ValueError on anything else.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

Image = NDArray[np.uint8]


def _check(image: Image) -> None:
    if not (isinstance(image, np.ndarray) and image.ndim == 2 and image.dtype == np.uint8):
        raise ValueError("the image must be a uint8 array of shape (h, w)")


def _to_grey_levels(values: NDArray[np.float32]) -> Image:
    return np.asarray(np.rint(values.clip(0.0, 255.0)), dtype=np.uint8)


def black_margin(image: Image, width_px: int = 64) -> Image:
    """The scan ends inside the image: ``width_px`` black columns on the right.

    Raises:
        ValueError: not a uint8 (h, w) image, or a margin outside 1..w.
    """
    _check(image)
    if not 1 <= width_px <= image.shape[1]:
        raise ValueError(f"width_px must lie in 1..{image.shape[1]}, got {width_px}")
    faulty = image.copy()
    faulty[:, -width_px:] = 0
    return faulty


def saturation(image: Image, gain: float = 2.8) -> Image:
    """The gain is far too high: most of the crystals' faces clip to white.

    Raises:
        ValueError: not a uint8 (h, w) image, or a gain not above 1.
    """
    _check(image)
    if not gain > 1.0:
        raise ValueError(f"gain must be above 1, got {gain!r}")
    return _to_grey_levels(image.astype(np.float32) * np.float32(gain))


def defocus(image: Image, sigma_px: float = 5.0) -> Image:
    """The beam is out of focus; fresh noise of 4 grey levels stays sharp, as a detector's does.

    Raises:
        ValueError: not a uint8 (h, w) image, or a width that is not positive.
    """
    _check(image)
    if not sigma_px > 0.0:
        raise ValueError(f"sigma_px must be positive, got {sigma_px!r}")
    blurred = gaussian_filter(image.astype(np.float32), sigma_px)
    noise = np.random.default_rng(0).standard_normal(image.shape, dtype=np.float32)
    return _to_grey_levels(blurred + np.float32(4.0) * noise)


def empty(image: Image) -> Image:
    """Nothing was recorded: all black.

    Raises:
        ValueError: not a uint8 (h, w) image.
    """
    _check(image)
    return np.zeros_like(image)


def charging_out(image: Image, strength: float = 1.0) -> Image:
    """The sample charges up: broad glaring bands along the scan lines wash out the crystals.

    Raises:
        ValueError: not a uint8 (h, w) image, or a strength that is not positive.
    """
    _check(image)
    if not strength > 0.0:
        raise ValueError(f"strength must be positive, got {strength!r}")
    rng = np.random.default_rng(1)
    bands = gaussian_filter1d(rng.standard_normal(len(image)), 9.0)
    bands = (bands / bands.std()).clip(-0.6, None) + 0.9
    lines = bands + 0.35 * rng.standard_normal(len(image))
    # Contrast falls as the glare rises: the detector sees little but the leaking charge.
    glare = (strength * 150.0 * lines.clip(0.0, None))[:, None].astype(np.float32)
    return _to_grey_levels(image.astype(np.float32) * np.exp(-glare / 90.0) + glare)


def scan_stopped(image: Image, height_px: int = 96) -> Image:
    """The scan was stopped: the last ``height_px`` rows are black.

    Raises:
        ValueError: not a uint8 (h, w) image, or a height outside 1..h.
    """
    _check(image)
    if not 1 <= height_px <= image.shape[0]:
        raise ValueError(f"height_px must lie in 1..{image.shape[0]}, got {height_px}")
    faulty = image.copy()
    faulty[-height_px:] = 0
    return faulty


def stage_jump(image: Image, jump_px: int = 14) -> Image:
    """The stage slips three times during the scan: below each line the picture is displaced.

    Raises:
        ValueError: not a uint8 (h, w) image, or a jump that is not positive.
    """
    _check(image)
    if jump_px < 1:
        raise ValueError(f"jump_px must be positive, got {jump_px}")
    rng = np.random.default_rng(2)
    height, width = image.shape
    # What comes into view at the border is unknown; mirrored crystals stand for it.
    wide = np.pad(image, ((0, 0), (3 * jump_px, 3 * jump_px)), mode="reflect")
    faulty = image.copy()
    left = 3 * jump_px
    for line in np.sort(rng.integers(height // 8, height, 3)):
        left += int(rng.choice((-1, 1))) * jump_px
        faulty[line:] = wide[line:, left : left + width]
    return faulty


def mains_hum(image: Image, amplitude_px: float = 3.0) -> Image:
    """A stray field at the mains frequency bends every line: upright edges become waves.

    Raises:
        ValueError: not a uint8 (h, w) image, or an amplitude that is not positive.
    """
    _check(image)
    if not amplitude_px > 0.0:
        raise ValueError(f"amplitude_px must be positive, got {amplitude_px!r}")
    rows = np.arange(len(image))
    shift = amplitude_px * np.sin(2.0 * np.pi * rows / 23.0)
    columns = np.arange(image.shape[1])
    faulty = [np.interp(columns + by, columns, line) for by, line in zip(shift, image, strict=True)]
    return _to_grey_levels(np.array(faulty, dtype=np.float32))


def astigmatism(image: Image, sigma_px: float = 4.0) -> Image:
    """The stigmator is off: the picture is smeared along one diagonal and sharp across it.

    Raises:
        ValueError: not a uint8 (h, w) image, or a width that is not positive.
    """
    _check(image)
    if not sigma_px > 0.0:
        raise ValueError(f"sigma_px must be positive, got {sigma_px!r}")
    reach = int(np.ceil(3.0 * sigma_px))
    total = np.zeros(image.shape, dtype=np.float32)
    padded = np.pad(image.astype(np.float32), reach, mode="reflect")
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    weights /= weights.sum()
    height, width = image.shape
    for offset, weight in zip(range(2 * reach + 1), weights, strict=True):
        total += np.float32(weight) * padded[offset : offset + height, offset : offset + width]
    return _to_grey_levels(total)


def contamination(image: Image, darkening: float = 0.55) -> Image:
    """A closer look before left a carbon film: a darker rectangle with a darker rim.

    Raises:
        ValueError: not a uint8 (h, w) image, or a darkening outside 0..1.
    """
    _check(image)
    if not 0.0 < darkening <= 1.0:
        raise ValueError(f"darkening must lie in 0..1, got {darkening!r}")
    height, width = image.shape
    inner = np.zeros(image.shape, dtype=np.float32)
    inner[height // 4 : 3 * height // 4, width // 5 : 4 * width // 5] = 1.0
    film = gaussian_filter(inner, 2.0)
    rim = 4.0 * film * (1.0 - film)
    faulty = image * (1.0 - darkening * film) * (1.0 - 0.25 * rim)
    return _to_grey_levels(faulty.astype(np.float32))


def low_dose(image: Image, electrons: float = 6.0) -> Image:
    """The beam current collapsed: so few electrons a pixel that noise hides the faces.

    Raises:
        ValueError: not a uint8 (h, w) image, or a number of electrons that is not positive.
    """
    _check(image)
    if not electrons > 0.0:
        raise ValueError(f"electrons must be positive, got {electrons!r}")
    rng = np.random.default_rng(3)
    counts = rng.poisson(image.astype(np.float64) * (electrons / 255.0))
    return _to_grey_levels(counts.astype(np.float32) * np.float32(255.0 / electrons))


FAULTS: Final[Mapping[str, Callable[[Image], Image]]] = MappingProxyType(
    {
        "black_margin": black_margin,
        "saturation": saturation,
        "defocus": defocus,
        "empty": empty,
        "charging_out": charging_out,
        "scan_stopped": scan_stopped,
        "stage_jump": stage_jump,
        "mains_hum": mains_hum,
        "astigmatism": astigmatism,
        "contamination": contamination,
        "low_dose": low_dose,
    }
)
"""Every fault at its default severity, by name."""
