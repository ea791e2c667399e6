"""A watch that runs while a test writes into its folder."""

import asyncio
import contextlib

from lotwise.screening.services import Services
from lotwise.screening.watching import Watch


@contextlib.asynccontextmanager
async def watching(folder, store, addresses, **options):
    """A watch that runs; what it told, and how to wait for so many verdicts."""
    verdicts, troubles, stop = [], [], asyncio.Event()
    async with Services(addresses, batch=False) as services:
        watch = Watch(
            folder,
            store,
            services,
            settled_s=0.2,
            look_s=0.1,
            verdict=verdicts.append,
            trouble=lambda name, error: troubles.append((name, error.reason)),
            **options,
        )
        running = asyncio.create_task(watch.run(stop))

        async def until(count):
            async with asyncio.timeout(120):
                while len(verdicts) < count:
                    assert not running.done() or running.result()
                    await asyncio.sleep(0.05)

        yield verdicts, troubles, until
        stop.set()
        await asyncio.wait_for(running, 60)
