"""How often a call for one tile is made where the service goes away in the middle of it."""

from __future__ import annotations

import time
from typing import cast

import grpc

from lotwise.runtime.status import broke_off


class Attempts:
    """Makes a call again at once: other replicas may be there, and gRPC waits for a lone one.

    Args:
        retries: So often at most.
        timeout: For all of it, in seconds.
    """

    def __init__(self, retries: int, timeout: float) -> None:
        self._left = retries
        self._until = time.monotonic() + timeout

    @property
    def timeout(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._until - time.monotonic())

    def again(self, error: grpc.RpcError) -> bool:
        """Whether to make it once more.

        Args:
            error: What it ended with.
        """
        self._left -= 1
        return self._left >= 0 and broke_off(cast(grpc.aio.AioRpcError, error))
