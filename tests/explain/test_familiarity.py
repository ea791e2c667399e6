"""What is explained, and what is refused because the regressor knows no such tiles."""

import pytest

from lotwise.core.errors import InvalidRequest, InvalidTile
from lotwise.explain.familiarity import admit, admit_lot, is_unfamiliar

LIMIT = 0.05


def test_a_strange_tile_is_refused_unless_the_caller_insists():
    admit(LIMIT, LIMIT, anyhow=False)
    with pytest.raises(InvalidTile, match="is 0.04, below 0.05.*allow_unfamiliar") as no:
        admit(0.04, LIMIT, anyhow=False)
    assert no.value.reason == "TILE_UNFAMILIAR"
    admit(0.04, LIMIT, anyhow=True)


def test_where_nobody_can_say_nothing_is_refused():
    admit(None, LIMIT, anyhow=False)
    assert not is_unfamiliar(None, LIMIT)
    assert admit_lot(None, LIMIT, 3, anyhow=False) == [False] * 3


@pytest.mark.parametrize(("strange", "refused"), [(1, False), (2, False), (3, True), (4, True)])
def test_a_lot_is_refused_where_most_of_its_sample_is_strange(strange, refused):
    sample = [0.01] * strange + [0.5] * (4 - strange)
    expected = [True] * strange + [False] * (4 - strange)
    assert admit_lot(sample, LIMIT, 4, anyhow=True) == expected
    if refused:
        with pytest.raises(InvalidRequest, match=f"{strange} of 4") as said:
            admit_lot(sample, LIMIT, 4, anyhow=False)
        assert said.value.reason == "LOT_UNFAMILIAR"
    else:
        assert admit_lot(sample, LIMIT, 4, anyhow=False) == expected
