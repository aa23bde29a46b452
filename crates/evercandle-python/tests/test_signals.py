"""Signals that come while a question is under way: their handlers are programs like others."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import evercandle
import pytest

from .conftest import DAY, NOW
from .test_processes import run

QUESTIONS: dict[str, Callable[[evercandle.Client], Any]] = {
    "health": lambda client: client.health(),
    "a question": lambda client: client.get_data("ETHUSDT", "1h", *DAY),
    "the cache": lambda client: client.cache.stats(),
    "the simulator": lambda client: client.simulator.requests(),
    "a new client": lambda client: evercandle.Client(simulate=evercandle.Simulation(seed=7, now=NOW)).close(),
    "closing": lambda client: client.close(),
}


@pytest.fixture
def alarm() -> Iterator[Callable[[Callable[[], Any]], list[Any]]]:
    """Rings soon, once; what the handler came to is in the list."""
    before = signal.getsignal(signal.SIGALRM)

    def set_alarm(work: Callable[[], Any]) -> list[Any]:
        came: list[Any] = []

        def ring(number: int, frame: object) -> None:
            came.append(work())

        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        return came

    yield set_alarm
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("what", QUESTIONS)
def test_a_signals_handler_may_ask(
    client: evercandle.Client, what: str, alarm: Callable[[Callable[[], Any]], list[Any]]
) -> None:
    client.simulator.inject("latency", milliseconds=400)
    came = alarm(lambda: QUESTIONS[what](client))
    assert len(client.get_data("BTCUSDT", "1h", *DAY)) == 24
    assert len(came) == 1, "the signal was answered meanwhile"


def test_a_signals_handler_may_ask_while_the_packages_client_is_made() -> None:
    done = run(
        """
        import faulthandler, signal
        from evercandle import ambient
        faulthandler.dump_traceback_later(20, exit=True)
        make = ambient.Client
        def ring(number, frame):
            print("handler", len(evercandle.get_data("BTCUSDT", "1h", *DAY, simulate=True)))
        def made(**how):
            ambient.Client = make
            signal.raise_signal(signal.SIGALRM)
            return make(**how)
        signal.signal(signal.SIGALRM, ring)
        ambient.Client = made
        print(len(evercandle.get_data("BTCUSDT", "1h", *DAY, simulate=True)))
        """
    )
    assert (done.returncode, done.stdout) == (0, "handler 24\n24\n"), done.stderr
