"""Starting a child process without losing it to a signal."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def exits_deferred() -> Iterator[None]:
    """Hold SIGTERM and SIGINT back until the block is done, then let them act.

    A handler that raises between a child's birth and the moment at which its parent has noted it
    would leave the child behind. Does nothing outside the main thread: signals do not act there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    kept = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, lambda number, _: arrived.append(number))
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        for came in arrived:
            signal.raise_signal(came)
