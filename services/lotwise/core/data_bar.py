"""The data bar: the strip with text and a scale bar that instruments burn into the picture.

Cropping a part of a genuine picture would be worse than leaving a bar in, so a strip must pass
for a bar in every way: one exact level behind it, sharp text of few levels on it, empty rows
around the text, and a straight line across the whole width above it. A black margin without text
is no bar; the quality check tells of it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from lotwise.core.tile import Grey

_MIN_ROWS: Final = 10
_MIN_SHARE: Final = 0.012  # of the picture's rows
_MAX_SHARE: Final = 0.25
_TRAILING_ROWS: Final = 3  # of picture or frame below the bar: JEOL leaves one
_FRAME_ROWS: Final = 3  # lines between picture and bar
_TOLERANCE: Final = 8  # grey levels about the background: JPEG ripples
_EMPTY: Final = 0.93  # share of background in a row without text; frames stand in the rest
_TEXT: Final = 0.35  # share of background in a row of text
_ABOVE: Final = 0.75  # largest share of the background's level in the picture's last rows
_CONTRAST: Final = 80  # grey levels between text and background
_MIN_INK: Final = 0.003  # shares of the bar's pixels
_MAX_INK: Final = 0.45
_MIN_EMPTY_ROWS: Final = 0.08
_BLUR_TO_INK: Final = 1.2  # pixels between ink and background, to those of ink
_BAND: Final = 49  # grey levels that count as one level of ink
_MIN_ONE_LEVEL: Final = 0.65  # particles have many levels; logos and smoothed letters some
_MAX_BACKGROUNDS: Final = 4  # of the last rows
_MIN_STROKES: Final = 12  # changes between ink and background along the busiest row


def find_data_bar(grey: Grey) -> int:
    """Rows of the data bar at the bottom; 0 where there is none.

    Args:
        grey: uint8 [height, width].
    """
    height = len(grey)
    first = height - int(height * _MAX_SHARE)
    shortest = max(_MIN_ROWS, int(height * _MIN_SHARE))
    context = first - 4 * _FRAME_ROWS
    if height - first < shortest or context < 0:
        return 0
    strip = grey[context:]
    uniform, level = _uniform_rows(strip)
    for background in _backgrounds(uniform, level):
        rows = _bar_rows(strip, uniform, level, background, first - context, shortest)
        if rows:
            return rows
    return 0


def _bar_rows(
    strip: Grey,
    uniform: npt.NDArray[np.bool_],
    level: npt.NDArray[np.uint8],
    background: int,
    first: int,
    shortest: int,
) -> int:
    """Rows of a bar on this background, which begins no higher than row `first` of the strip."""
    share = (np.abs(strip.astype(np.int16) - background) <= _TOLERANCE).mean(axis=1)
    frame = uniform & (np.abs(level.astype(np.int16) - background) > _TOLERANCE)
    end = len(strip)
    while share[end - 1] < _TEXT and len(strip) - end < _TRAILING_ROWS:
        end -= 1  # also a frame line: it is cropped with the bar
    # A bar begins below the lowest row that cannot be one of its own.
    foreign = np.flatnonzero((share[:end] < _TEXT) & ~frame[:end])
    lowest = max(int(foreign[-1]) + 1 if foreign.size else 0, first)
    # In a flat picture every row is uniform; a frame differs from the row above it.
    line = frame & (np.abs(np.diff(level.astype(np.int16), prepend=level[:1])) > _TOLERANCE)
    for top in range(lowest, end - shortest + 1):
        if (share[top] >= _EMPTY or line[top]) and _is_bar(strip, share, top, end, background):
            return len(strip) - top
    return 0


def _is_bar(
    strip: Grey, share: npt.NDArray[np.float64], top: int, end: int, background: int
) -> bool:
    above = share[top - _FRAME_ROWS - 8 : top - _FRAME_ROWS] if top > 11 else share[:0]
    if not above.size or above.max() > _ABOVE or share[top - 1] > _EMPTY:
        return False
    if (share[top : top + _FRAME_ROWS + 1] >= _EMPTY).sum() == 0:
        return False
    rows = strip[top:end]
    if (share[top:end] >= _EMPTY).mean() < _MIN_EMPTY_ROWS:
        return False
    distance = np.abs(rows.astype(np.int16) - background)
    ink = distance >= _CONTRAST
    lines = ink.mean(axis=1) > _EMPTY  # of a frame: they are no text
    rows, distance, ink = rows[~lines], distance[~lines], ink[~lines]
    inked = float(ink.mean())
    blurred = float(((distance > _TOLERANCE) & ~ink).mean())
    strokes = int((ink[:, 1:] != ink[:, :-1]).sum(axis=1).max())
    return (
        _MIN_INK <= inked <= _MAX_INK
        and blurred <= _BLUR_TO_INK * inked
        and strokes >= _MIN_STROKES
        and _one_level(rows[ink]) >= _MIN_ONE_LEVEL
    )


def _one_level(ink: Grey) -> float:
    """Largest share of the ink within a narrow band of levels."""
    counts = np.bincount(ink, minlength=256)
    below = np.concatenate([[0], np.cumsum(counts)])
    return float((below[_BAND:] - below[:-_BAND]).max() / ink.size)


def _uniform_rows(strip: Grey) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint8]]:
    """Whether a row is of one level but for frames, and which: its median."""
    level = np.median(strip, axis=1).astype(np.uint8)
    near = np.abs(strip.astype(np.int16) - level[:, None]) <= _TOLERANCE
    return near.mean(axis=1) >= _EMPTY, level


def _backgrounds(uniform: npt.NDArray[np.bool_], level: npt.NDArray[np.uint8]) -> list[int]:
    """Levels of uniform rows from the bottom up: the bar's own is among the first."""
    found: list[int] = []
    for each in level[uniform][::-1].tolist():
        if all(abs(each - other) > _TOLERANCE for other in found):
            found.append(each)
    return found[:_MAX_BACKGROUNDS]
