"""What is said of each lot of a folder before anything is trained."""

import numpy as np
import pytest
from rich.console import Console

from lotwise.core.decoding import decode_file
from lotwise.core.preprocessing import fit_to_model
from lotwise_training.data.lot_uses import lot_uses, show_lot_uses
from lotwise_training.data.tiles import DatasetError
from tests.support.lot_folders import FIELD, grey, lots_csv, read, write
from tests.training.small_lots import folder_lots

LARGE, SMALL, TINY = [(8, 8)], [(3, 3)], [(2, 2)]
ALL = (True, True, True, True)


def tested(*pictures, values):
    return folder_lots(*pictures, property_name="load", unit="", values=np.array(values))


def test_lots_that_can_do_everything():
    assert lot_uses(tested(LARGE, LARGE, LARGE, values=[-1.0, 0.0, 2.5])) == [ALL] * 3


def test_each_lot_is_good_for_what_it_can_carry():
    data = tested(LARGE, SMALL, TINY, LARGE, values=[1.0, 2.0, 3.0, np.nan])
    assert lot_uses(data) == [
        ALL,
        (True, False, True, True),
        (False, False, False, False),
        (True, True, False, False),
    ]


@pytest.mark.parametrize("values", [[1.0, 1.0], [1.0, np.nan]])
def test_without_two_values_there_is_no_regressor(values):
    assert lot_uses(tested(LARGE, LARGE, values=values)) == [(True, True, False, False)] * 2


def test_two_recipes_give_no_intervals():
    assert lot_uses(tested(LARGE, LARGE, values=[1.0, 2.0])) == [(True, True, True, False)] * 2


def test_one_lot_is_no_committee():
    data = folder_lots(LARGE)
    assert lot_uses(data) == [(False, False, False, False)]
    console = Console(record=True, width=100)
    show_lot_uses(data, console)
    assert "at least 2" in console.export_text()


def test_what_is_needed_is_shown():
    console = Console(record=True, width=100)
    show_lot_uses(folder_lots(LARGE, SMALL), console)
    assert "lot L1 has 9 tiles in 1 region and needs about 6" in console.export_text()


def test_grey_pictures_saved_in_colour_are_the_same_pictures(tmp_path):
    root = lots_csv(tmp_path, "lot_id\nA\n")
    one = grey(1)
    write(root / "A/1.png", np.dstack([one] * 3))
    data = read(root)
    write(root / "A/1.png", one)
    np.testing.assert_array_equal(data.dataset.images, read(root).dataset.images)


def test_colours_are_read_as_the_services_read_them(tmp_path):
    root = lots_csv(tmp_path, "lot_id\nA\n")
    path = write(root / "A/1.png", np.dstack([grey(1), grey(2), grey(3)]))
    served = decode_file(path.read_bytes())
    np.testing.assert_array_equal(read(root).dataset.images, [fit_to_model(served, FIELD)])


@pytest.mark.parametrize("value", ["0", "-3", "-1e-9", "0.0021"])
def test_values_may_be_small_or_negative_and_need_no_unit(tmp_path, value):
    root = lots_csv(tmp_path, f"lot_id,property,value\nA,shift,{value}\n")
    write(root / "A/1.png", grey())
    table = read(root).dataset.table
    assert (table.values.tolist(), table.unit) == ([float(value)], "")


def test_lots_without_a_value_are_left_out_of_the_tested_and_named():
    data = tested(LARGE, SMALL, LARGE, values=[1.0, np.nan, 2.0])
    kept = data.tested()
    assert kept.table.lot_ids == ("L0", "L2")
    assert kept.table.values.tolist() == [1.0, 2.0]
    assert np.bincount(kept.lots).tolist() == [64, 64]
    assert len(kept.positions) == len(kept)
    assert kept.version != data.version
    assert kept.remarks == ("Left out, because they have no value: L1.",)


def test_a_regressor_needs_two_values():
    with pytest.raises(DatasetError, match="1 lots have a measured property; .* needs 2") as error:
        tested(LARGE, LARGE, values=[1.0, np.nan]).tested()
    assert error.value.reason == "PROPERTY_UNKNOWN"
