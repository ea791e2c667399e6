"""How much of a change a network sees that knows no editor, where that is known exactly."""

from dataclasses import replace

import numpy as np
import pytest

from lotwise.core.counterfactual import fidelity_of
from lotwise.core.errors import Contradiction
from lotwise.core.signature import AttributeSpec
from lotwise.core.tile import DecodedTile
from lotwise.explain.handler import ExplainHandler
from lotwise.explain.lot_backward import backward_lot
from lotwise.explain.lot_question import LotBackwardQuestion, LotOfTiles, Sampling
from lotwise.explain.question import BackwardQuestion
from lotwise.explain.searching import Progress
from tests.support.grey_editor import (
    METERED,
    MODELS,
    OWN,
    PSI,
    PX,
    SEEN,
    SERVED,
    SLOPES,
    GreyEngine,
    grey_editor,
    grey_tile,
)

TILE = DecodedTile(np.full((PX, PX), 100, dtype=np.uint8), 1.0)
TARGET = BackwardQuestion(target=PSI * (100 + 0.25 * SLOPES[0]), immutable=("porosity",))
ONE_LEVEL = 1.0 / SLOPES[0]
"""Pictures are of whole grey levels, so that much of a size is lost."""


def changed_meter(**changes):
    meter = SERVED["meter"]
    metadata = meter.signature.metadata.model_copy(update=changes)
    signature = meter.signature.model_copy(update={"metadata": metadata})
    return {**SERVED, "meter": replace(meter, signature=signature)}


async def test_a_sweep_says_what_the_meter_sees_of_every_step():
    handler = ExplainHandler(GreyEngine(), METERED)
    found = await handler.forward(TILE, "known", {}, "size", 5)
    np.testing.assert_allclose(found.measured, SEEN * (found.grid[:, 0] - OWN[0]), atol=ONE_LEVEL)


async def test_a_change_says_what_the_meter_sees_of_it():
    handler = ExplainHandler(GreyEngine(), METERED)
    found = await handler.backward(TILE, "known", {}, TARGET)
    asked = found.found.attributes - found.before
    assert asked[0] == pytest.approx(0.25, abs=0.05)
    assert found.measured == pytest.approx([SEEN * asked[0], 0.0], abs=ONE_LEVEL)
    assert found.fidelity == pytest.approx(SEEN, abs=0.1)


async def test_what_redrawing_alone_changes_is_no_part_of_it():
    handler = ExplainHandler(GreyEngine(drift=20.0), METERED)
    found = await handler.backward(TILE, "known", {}, TARGET)
    assert found.fidelity == pytest.approx(SEEN, abs=0.1)


async def test_a_lots_change_is_measured_by_the_mean_over_its_tiles():
    question = LotBackwardQuestion(LotOfTiles("known", {}, Sampling()), TARGET, alone=0, front=0)
    editor = await grey_editor(GreyEngine(), METERED)
    sample = [grey_tile(level) for level in (90, 100, 110)]
    found = await backward_lot(editor, question, sample, Progress())
    assert found.measured == pytest.approx([SEEN * 0.25, 0.0], abs=0.02)
    assert found.fidelity == pytest.approx(SEEN, abs=0.1)


@pytest.mark.parametrize(
    ("engine", "models"),
    [
        (GreyEngine(), MODELS),
        (GreyEngine(served={name: SERVED[name] for name in MODELS.needed}), METERED),
    ],
)
async def test_without_a_meter_nothing_is_claimed(engine, models):
    handler = ExplainHandler(engine, models)
    swept = await handler.forward(TILE, "known", {}, "size", 3)
    found = await handler.backward(TILE, "known", {}, TARGET)
    assert (swept.measured, found.measured, found.fidelity) == (None, None, None)
    assert len(found.tile.editor.answering) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"attributes": (AttributeSpec(name="age", low="young", high="old"),)},
        {"geometry": None},
    ],
)
async def test_a_meter_of_something_else_is_a_contradiction(changes):
    engine = GreyEngine(served=changed_meter(**changes))
    with pytest.raises(Contradiction, match="meter") as refused:
        await grey_editor(engine, METERED)
    assert refused.value.reason == "EDITOR_MISMATCH"


def test_fidelity_is_the_part_along_the_change():
    asked = np.array([0.3, 0.0])
    assert fidelity_of(asked, np.array([0.15, 0.4])) == pytest.approx(0.5)
    assert fidelity_of(asked, np.array([-0.3, 0.0])) == pytest.approx(-1.0)


def test_there_is_no_fidelity_of_no_change():
    assert fidelity_of(np.zeros(2), np.array([0.1, 0.0])) is None
    assert fidelity_of(np.array([0.1, 0.0]), None) is None
