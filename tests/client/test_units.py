"""Targets for a model whose property is in another unit than the target."""

import pytest

from lotwise.client import InvalidRequest
from tests.client.fake import FakeExplain, Serving

MPA_OF_1000_PSI = 6.894757293168361


@pytest.fixture
def serving():
    with Serving(FakeExplain()) as running:
        yield running


async def test_the_models_unit_is_learned_from_its_first_answer(make_asker, serving):
    asker = make_asker(explain=serving.address)
    first = await asker.ask("explain_backward", b"x", target=1000.0, tolerance=10.0)
    assert serving.fake.targets == [1000.0, pytest.approx(MPA_OF_1000_PSI)]
    assert (first.target.unit, first.target.value) == ("MPa", pytest.approx(MPA_OF_1000_PSI))
    assert first.tolerance.psi == pytest.approx(10.0)
    await asker.ask("explain_backward", b"x", target=1000.0)
    assert serving.fake.targets[2:] == [pytest.approx(MPA_OF_1000_PSI)]


async def test_in_a_stream_it_is_said_and_known_from_then_on(make_asker, serving):
    asker = make_asker(explain=serving.address)
    with pytest.raises(InvalidRequest, match="MPa") as refused:
        await asker.ask_many("explain_backward_many", [b"x"], target=1000.0)
    assert refused.value.reason == "TARGET_INVALID"
    answers = await asker.ask_many("explain_backward_many", [b"x", b"y"], target=1000.0)
    assert [answer.target.psi for answer in answers] == [pytest.approx(1000.0)] * 2
