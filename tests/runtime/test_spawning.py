import os
import signal
import threading

import pytest

from lotwise.runtime.spawning import exits_deferred


class Ended(Exception):
    pass


@pytest.fixture
def raising_handler():
    def end(*_):
        raise Ended

    before = signal.signal(signal.SIGTERM, end)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_signal_acts_after_the_block(raising_handler):
    noted = []

    def spawn():
        with exits_deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            noted.append("child")

    with pytest.raises(Ended):
        spawn()
    assert noted == ["child"]


def test_handlers_are_put_back(raising_handler):
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with exits_deferred():
        assert signal.getsignal(signal.SIGTERM) is not handlers[0]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers


def test_it_does_nothing_in_another_thread():
    passed = []

    def work():
        with exits_deferred():
            passed.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert passed == [True]
