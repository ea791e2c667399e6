"""Decisions at the policy's edges; the uncertainty service behind them is tested elsewhere."""

import dataclasses

import numpy as np
import pytest

from lotwise.core.calibration_fit import calibrate
from lotwise.core.diagnosis import KINDS, Shift, TileDiagnosis
from lotwise.core.errors import Contradiction
from lotwise.core.verdict import Decision, Reason
from lotwise.referral.handler import Assessed, ReferralHandler, Ruling
from lotwise.runtime.diagnosis_messages import diagnosis_message, tile_diagnosis
from lotwise.v1 import diagnosis_pb2, tile_pb2
from tests.support.committees import COVERAGE, WEIGHTS, labelled

GOOD = tile_pb2.Quality(verdict=tile_pb2.QUALITY_VERDICT_GOOD)
POOR = tile_pb2.Quality(verdict=tile_pb2.QUALITY_VERDICT_POOR)
POLICY = calibrate(labelled(), COVERAGE, WEIGHTS).policy


class Says:
    """An uncertainty service that always gives this answer."""

    def __init__(self, answer):
        self.answer = answer

    async def assess(self, tile, *, cascade):
        return self.answer

    async def ready(self):
        return True


def seen(**changes):
    answer = Assessed(
        looks_like="R01",
        confidence=0.9,
        error_probability=POLICY.max_score,
        familiarity=POLICY.request.min_familiarity,
        entropy_nats=0.5,
        weights_sha256=POLICY.weights_sha256,
        calibration_version=POLICY.calibration_version,
        quality=GOOD,
        provenance=tile_pb2.Provenance(),
    )
    return dataclasses.replace(answer, **changes)


async def decide(**changes):
    handler = ReferralHandler(Says(seen(**changes)), Ruling(POLICY))
    return await handler.decide(tile_pb2.Tile())


async def test_at_the_threshold_a_tile_is_accepted():
    decided = await decide()
    assert (decided.decision, decided.reasons) == (Decision.ACCEPT, ())


async def test_a_familiar_tile_whose_lot_is_doubtful_is_ambiguous():
    decided = await decide(error_probability=POLICY.max_score + 1e-9)
    assert (decided.decision, decided.reasons) == (Decision.REFER, (Reason.AMBIGUOUS,))


@pytest.mark.parametrize("error_probability", [0.0, 1.0])
async def test_an_unfamiliar_tile_is_referred_however_sure_the_committee_is(error_probability):
    decided = await decide(
        familiarity=POLICY.request.min_familiarity - 1e-9, error_probability=error_probability
    )
    assert (decided.decision, decided.reasons) == (Decision.REFER, (Reason.UNFAMILIAR,))


async def test_a_poor_picture_that_is_unfamiliar_has_both_reasons():
    decided = await decide(familiarity=0.001, quality=POOR)
    assert decided.reasons == (Reason.POOR_QUALITY, Reason.UNFAMILIAR)


async def test_a_poor_picture_is_referred_however_sure_the_committee_is():
    decided = await decide(error_probability=0.0, familiarity=1.0, quality=POOR)
    assert (decided.decision, decided.reasons) == (Decision.REFER, (Reason.POOR_QUALITY,))


@pytest.mark.parametrize("other", [{"weights_sha256": "0" * 64}, {"calibration_version": "old"}])
async def test_a_policy_of_other_weights_or_another_calibration_decides_nothing(other):
    with pytest.raises(Contradiction) as refused:
        await decide(**other)
    assert refused.value.reason == "POLICY_MISMATCH"


@pytest.mark.parametrize(
    ("kind", "reasons"),
    [
        (Shift.NONE, (Reason.UNFAMILIAR,)),
        (Shift.INSTRUMENT, (Reason.INSTRUMENT_SHIFT, Reason.UNFAMILIAR)),
        (Shift.SYNTHESIS, (Reason.UNSEEN_SYNTHESIS, Reason.UNFAMILIAR)),
        (Shift.UNRELATED, (Reason.UNRELATED, Reason.UNFAMILIAR)),
    ],
)
async def test_a_diagnosis_says_why_an_unfamiliar_tile_is_referred_and_refers_none(kind, reasons):
    logs = tuple(-0.1 if each is kind else -3.0 for each in KINDS)
    diagnosis = TileDiagnosis(logs, (0.0,) * 8, "a")
    strange = await decide(familiarity=0.001, diagnosis=diagnosis)
    assert strange.reasons == reasons
    familiar = await decide(diagnosis=diagnosis)
    assert (familiar.decision, familiar.reasons) == (Decision.ACCEPT, ())


def test_a_diagnosis_travels_whole():
    logs = np.log([0.2, 0.5, 0.25, 0.05])
    diagnosis = TileDiagnosis(tuple(logs.tolist()), (0.5, -1.25), "v1")
    message = diagnosis_message(diagnosis)
    assert [each.shift for each in message.probabilities][:2] == [
        diagnosis_pb2.SHIFT_INSTRUMENT,
        diagnosis_pb2.SHIFT_SYNTHESIS,
    ]
    assert message.action.startswith("Set the instrument")
    back = tile_diagnosis(message)
    assert back.log_probabilities == pytest.approx(diagnosis.log_probabilities)
    assert (back.place, back.version) == (diagnosis.place, "v1")
    sure = TileDiagnosis((0.0, -900.0, -900.0, -900.0), (), "v1")
    assert np.isfinite(tile_diagnosis(diagnosis_message(sure)).log_probabilities).all()
