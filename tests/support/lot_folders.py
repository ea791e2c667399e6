"""Folders of a laboratory's own lots for the tests of training."""

import numpy as np
import pytest
from PIL import Image

from lotwise.core.signature import TileGeometry
from lotwise_training.data.folder import read_lot_folder
from lotwise_training.data.tiles import DatasetError

FIELD = TileGeometry(px=16, um_per_px=4)
"""64 um: pictures of 64 px at 1 um fill it."""


def grey(seed=0, height=64, width=64):
    return np.random.default_rng(seed).integers(30, 220, (height, width), dtype=np.uint8)


def write(path, pixels, um_per_px=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    scale = {"dpi": (25_400 / um_per_px,) * 2} if um_per_px else {}
    Image.fromarray(pixels).save(path, **scale)
    return path


def lots_csv(root, text):
    root.mkdir(parents=True, exist_ok=True)
    (root / "lots.csv").write_text(text, encoding="utf-8")
    return root


def two_lots(path):
    """Two lots, of three pictures and of two."""
    folder = lots_csv(path, "lot_id\nB\nA\n")
    for number, name in enumerate(["B/1.png", "B/2.png", "B/3.png", "A/1.png", "A/2.png"]):
        write(folder / name, grey(number))
    return folder


def read(root, geometry=FIELD, **options):
    return read_lot_folder(root, geometry, **{"jobs": 1, **options})


def refused(root, **options):
    with pytest.raises(DatasetError) as caught:
        read(root, **options)
    return caught.value.reason, str(caught.value)
