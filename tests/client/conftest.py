"""Clients of both kinds, asked in the same way."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
import pytest_asyncio

from lotwise import AsyncClient, Client


class Asker:
    """Either client; the services run in the tests' loop, so the waiting one waits in a thread.

    Not in the loop's own threads: the services decode tiles in them.
    """

    def __init__(self, client):
        self.client = client
        self._threads = ThreadPoolExecutor(16)

    async def _in_thread(self, call):
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def ask(self, method, *arguments, **options):
        call = getattr(self.client, method)
        if isinstance(self.client, AsyncClient):
            return await call(*arguments, **options)
        return await self._in_thread(lambda: call(*arguments, **options))

    async def ask_many(self, method, *arguments, **options):
        call = getattr(self.client, method)
        if isinstance(self.client, AsyncClient):
            return [answer async for answer in call(*arguments, **options)]
        return await self._in_thread(lambda: list(call(*arguments, **options)))

    async def close(self):
        if isinstance(self.client, AsyncClient):
            await self.client.close()
        else:
            self.client.close()
        self._threads.shutdown()


@pytest.fixture(scope="session")
def addresses(services):
    return {name: f"127.0.0.1:{running.port}" for name, running in services.items()}


@pytest_asyncio.fixture(params=[Client, AsyncClient])
async def make_asker(request):
    """Makes clients of one kind; closes them."""
    made = []

    def make(*arguments, **options):
        made.append(Asker(request.param(*arguments, **options)))
        return made[-1]

    yield make
    for each in made:
        await each.close()


@pytest.fixture
def asker(make_asker, addresses):
    """A client of the services over the committed models."""
    return make_asker(**addresses)
