"""The "unrelated" lot: pictures that show no powder at all, for rejection tests.

Crops of pictures that lie inside the scikit-image wheel, read as files: nothing is downloaded and
no cache is touched. Licences, as scikit-image states them with each picture:

- camera: CC0, Lav Varshney; chelsea: CC0, Stefan van der Walt; coffee: CC0, Rachel Michetti
- brick, gravel: CC0, cc0textures.com; grass: CC0, linolafett (DeviantArt)
- rocket: public domain, SpaceX; hubble_deep_field: public domain, NASA
"""

from functools import cache
from importlib.resources import as_file, files
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lotwise_simulator.lots import TILE_PX, Tile

LOT_ID: Final = "unrelated"
PICTURES: Final = (
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "rocket.jpg",
    "hubble_deep_field.jpg",
    "brick.png",
    "grass.png",
    "gravel.png",
)


@cache
def _picture(name: str) -> NDArray[np.uint8]:
    """A bundled picture in grey, uint8 (h, w)."""
    with as_file(files("skimage") / "data" / name) as path, Image.open(path) as picture:
        grey = np.array(picture.convert("L"), dtype=np.uint8)
    grey.setflags(write=False)
    return grey


def unrelated_tiles(n: int, seed: int = 0) -> list[Tile]:
    """Square crops at random places of the pictures in turn, scaled to 256 x 256 grey.

    A crop is between 160 px wide and as wide as its picture, and mirrored half of the time, so few
    crops resemble each other. Row and column only number the tiles; their pixel size means nothing.

    Raises:
        ValueError: ``n`` below 1 or a negative ``seed``.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    rng = np.random.default_rng([seed, 4])
    tiles = []
    for index in range(n):
        picture = _picture(PICTURES[index % len(PICTURES)])
        height, width = picture.shape
        side = int(rng.integers(160, min(height, width) + 1))
        top = int(rng.integers(0, height - side + 1))
        left = int(rng.integers(0, width - side + 1))
        crop = picture[top : top + side, left : left + side]
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        scaled = Image.fromarray(np.ascontiguousarray(crop)).resize(
            (TILE_PX, TILE_PX), Image.Resampling.BICUBIC
        )
        tiles.append(Tile(np.array(scaled, dtype=np.uint8), LOT_ID, index // 4, index % 4))
    return tiles
