"""Edited tiles side by side, with what each is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from lotwise.core.tile import Grey

_GAP_PX: Final = 6
_CAPTION_PX: Final = 34
_TITLE_PX: Final = 20
_INK: Final = 20
_PAPER: Final = 255


def write_strip(path: Path, title: str, pictures: Sequence[tuple[str, Grey]]) -> None:
    """Write a PNG of pictures in a row.

    Args:
        path: Where to.
        title: A line above them.
        pictures: A caption of one or two lines and uint8 [height, width] each; all are shown as
            high as the last one, the first ones scaled to it.
    """
    height = pictures[-1][1].shape[0]
    images = [_as_high(Image.fromarray(pixels), height) for _, pixels in pictures]
    width = sum(image.width + _GAP_PX for image in images) + _GAP_PX
    # Pillow's own font measures text without a picture to draw on.
    width = max(width, round(ImageFont.load_default().getlength(title)) + 2 * _GAP_PX)
    sheet = Image.new("L", (width, _TITLE_PX + height + _CAPTION_PX + 2 * _GAP_PX), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP_PX, _GAP_PX), title, fill=_INK)
    left = _GAP_PX
    for image, (caption, _) in zip(images, pictures, strict=True):
        sheet.paste(image, (left, _TITLE_PX + _GAP_PX))
        pen.text((left, _TITLE_PX + height + 2 * _GAP_PX), caption, fill=_INK)
        left += image.width + _GAP_PX
    sheet.save(path)


def _as_high(image: Image.Image, height: int) -> Image.Image:
    if image.height == height:
        return image
    return image.resize((max(1, round(image.width * height / image.height)), height))
