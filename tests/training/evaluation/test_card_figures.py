"""The committee's model card: figures of the stored answers, and a card that must show them."""

import numpy as np
import pytest

from lotwise_training.evaluation.classification import CardDisagrees, card_figures, check_card
from lotwise_training.evaluation.predictions import set_predictions

LOTS = ["R1", "R2"]
MANIFEST = {"lot_ids": LOTS, "recipes": ["1", "1"], "runs": {}}


def answered(labels, named, *, sure=0.9, unsure=()):
    """Tiles of which each is named with probability `sure`, or 0.5; two members agree."""
    certainty = np.where(np.isin(np.arange(len(labels)), unsure), 0.5 + 1e-3, sure)
    rows = np.stack([1 - certainty, 1 - certainty], axis=1)
    rows[np.arange(len(labels)), named] = certainty
    logits = np.log(rows)[:, None].repeat(2, axis=1)
    return set_predictions(
        np.arange(len(labels)),
        np.asarray(labels),
        {"single": logits[:, :1], "ensemble": logits},
    )


@pytest.fixture
def outputs():
    # Ten tiles, the last one wrong and unsure; then eight of a shift, half of them wrong.
    labels = [0, 1] * 5
    named = [*labels[:9], 0]
    return {
        ("tile-random", "test"): answered(labels, named, unsure=[9]),
        ("tile-random", "new_regions"): answered(labels[:8], labels[:8]),
        ("tile-random", "filament_dim"): answered(labels[:8], [0] * 8, unsure=range(8)),
        ("tile-random", "unrelated"): answered([-1] * 6, [0] * 6, unsure=range(6)),
        ("region-blocked", "test"): answered(labels, labels),
    }


@pytest.fixture
def figures(outputs):
    return card_figures(outputs, MANIFEST)


def test_every_split_and_method_has_a_row_and_every_shift_one_of_the_ensemble(figures):
    assert list(figures) == [
        "tile-random, single network",
        "tile-random, deep ensemble",
        "region-blocked, single network",
        "region-blocked, deep ensemble",
        "new_regions against test, deep ensemble",
        "filament_dim against new_regions, deep ensemble",
        "unrelated against new_regions, deep ensemble",
    ]


def test_rows_show_what_the_answers_give(figures):
    nll = (-9 * np.log(0.9) - np.log(0.499)) / 10
    row = figures["tile-random, deep ensemble"]
    assert row == (
        f"accuracy 90.0%, NLL {nll:.3f}, ECE 14.0%, error at 90% coverage 0.0%, 10 tiles"
    )
    assert figures["region-blocked, deep ensemble"].startswith("accuracy 100.0%, NLL 0.105")


def test_shifts_show_how_accuracy_fell_and_whether_doubt_rose(figures):
    dim = figures["filament_dim against new_regions, deep ensemble"]
    assert dim == "accuracy -50.0 points, AUROC of entropy 1.000, 8 tiles"
    better = figures["new_regions against test, deep ensemble"]
    assert better == "accuracy +10.0 points, AUROC of entropy 0.450, 8 tiles"


def test_lots_that_nobody_knows_have_no_accuracy(figures):
    strange = figures["unrelated against new_regions, deep ensemble"]
    assert strange == "AUROC of entropy 1.000, 6 tiles"


def card_of(figures):
    return "\n".join(["# committee", *(f"| {name} | {value} |" for name, value in figures.items())])


def test_a_card_that_shows_them_passes(figures):
    check_card(card_of(figures) + "\n| something more | 1 |\n", figures)


@pytest.mark.parametrize("name", ["tile-random, deep ensemble", "unrelated against new_regions"])
def test_a_card_without_a_row_is_refused(name, figures):
    kept = {key: value for key, value in figures.items() if not key.startswith(name)}
    assert len(kept) == len(figures) - 1
    with pytest.raises(CardDisagrees, match=name):
        check_card(card_of(kept), figures)


def test_a_card_with_another_figure_is_refused(figures):
    card = card_of(figures).replace("accuracy 90.0%", "accuracy 99.0%")
    with pytest.raises(CardDisagrees, match="lotwise-train export --only committee"):
        check_card(card, figures)
