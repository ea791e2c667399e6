"""A screener's memory does not grow with its lot; `benchmarks.screening_memory` measures more."""

from benchmarks.screening_memory import measured

FEW, MANY = 300, 4_000
MARGIN_MIB = 12.0
"""Pools of threads and pages of SQLite fill up in the beginning; 4,000 tiles kept would be more."""


def test_ten_times_the_tiles_take_no_more_memory(tmp_path):
    few, many = (measured(tiles, tmp_path) for tiles in (FEW, MANY))
    assert (few[2], many[2]) == (FEW, MANY)
    assert many[0] < few[0] + MARGIN_MIB
