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


FAULTS: Final[Mapping[str, Callable[[Image], Image]]] = MappingProxyType(
    {
        "black_margin": black_margin,
        "saturation": saturation,
        "defocus": defocus,
        "empty": empty,
        "charging_out": charging_out,
    }
)
"""Every fault at its default severity, by name."""
