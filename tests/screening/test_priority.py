"""Batches wait in Triton's queue while instruments ask; the word for it travels on."""

import pytest

from lotwise.runtime.inference_triton import TritonInference
from lotwise.runtime.request import PRIORITY, Request, continue_trace, priority_of, set_request
from lotwise.screening.services import Services


class Client:
    """A Triton that only notes with which priority it is asked."""

    def __init__(self, real):
        self.real, self.asked = real, []

    def __getattr__(self, name):
        return getattr(self.real, name)

    async def infer(self, *args, priority, **kwargs):
        self.asked.append(priority)
        return await self.real.infer(*args, priority=priority, **kwargs)


@pytest.mark.parametrize(("own", "said", "asked"), [(1, "1", 1), (1, "2", 2), (2, "1", 2)])
async def test_who_may_wait_is_asked_for_with_the_second_priority(
    triton, pictures, own, said, asked
):
    engine = TritonInference(f"127.0.0.1:{triton.ports.grpc}", own)
    client = Client(engine._client)
    engine._client = client
    set_request(Request(continue_trace(None), None, priority_of(said)))
    await engine.infer("committee_first", {"image": pictures[0][None, None, ::4, ::4]}, ["logits"])
    set_request(Request(continue_trace(None)))
    await engine.close()
    assert client.asked == [asked]


@pytest.mark.parametrize(("batch", "priority"), [(True, "2"), (False, "1")])
def test_a_screener_of_batches_says_that_it_may_wait(batch, priority):
    metadata = dict(Services({}, batch=batch)._how()["metadata"])
    assert metadata[PRIORITY] == priority
