"""A world to test in: a simulated exchange whose clock stands still, and an empty cache."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import evercandle
import pytest

# Whoever starts the tests in the background has them ignore Ctrl-C, and the tests of it would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)

NOW = "2024-06-14T12:00:30Z"
"""When it is: half a day after midnight, so that the last hours are in no archive yet."""

DAY = ("2024-04-02", "2024-04-03")

PRINTED = {
    "open": 1,
    "high": 2,
    "low": 3,
    "close": 4,
    "volume": 5,
    "quote_volume": 7,
    "taker_buy_volume": 9,
    "taker_buy_quote_volume": 10,
}
"""Where the exchange prints each decimal column."""


PATIENT: dict[str, dict[str, int]] = {
    "http": {"timeout_ms": 300_000, "idle_timeout_ms": 300_000},
    "engine": {"deadline_ms": 300_000},
    "latest": {"deadline_ms": 300_000},
}
"""Settings with which no question ends by itself while a test runs, if nobody answers it."""


@pytest.fixture
def client() -> Iterator[evercandle.Client]:
    with evercandle.Client(simulate=evercandle.Simulation(seed=7, now=NOW)) as client:
        yield client


@pytest.fixture(scope="session")
def stored() -> Iterator[evercandle.Client]:
    """Shared by tests that only read: two months of minutes are in its cache."""
    with evercandle.Client(simulate=evercandle.Simulation(seed=7, now=NOW)) as client:
        client.get_data("BTCUSDT", "1m", "2024-03-01", "2024-05-01")
        yield client


def wait_until_asked(client: evercandle.Client, containing: str = "") -> None:
    """Returns when the simulated exchange has been asked."""
    while not client.simulator.requests(containing):
        time.sleep(0.01)


STUCK: dict[str, Any] = {
    "symbols": "BTCUSDT",
    "intervals": "5m",
    "start": "2024-01-01",
    "end": "2024-05-01",
    "jobs": 1,
    "progress": False,
}
STUCK_AT = "2024-03"
"""A download of four months, one after the other, and where it can be stuck: two are fetched by then."""
STUCK_ENDS = ("2024-04-01", "2024-05-01")
"""Nothing is left to be asked then, or something is."""


def check_stuck(simulator: evercandle.Simulator, cache_dir: Path) -> None:
    """What was fetched before it was stuck is kept, and no more was asked for since."""
    assert simulator.requests("2024-02") and not simulator.requests("2024-04")
    with evercandle.Client(simulate=evercandle.Simulation(seed=7, now=NOW), cache_dir=cache_dir) as other:
        assert len(other.get_data("BTCUSDT", "5m", "2024-01-01", "2024-03-01", sources="cache")) == 60 * 288


def micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def check(client: evercandle.Client, klines: evercandle.Klines) -> None:
    """Every row is the truth, to the digit; every slot is in a row or in a gap; segments cover the rows."""
    truth = client.simulator.truth(klines.symbol, klines.interval, klines.start, klines.end, market=klines.market)
    arrays: dict[str, Any] = klines.to_numpy()
    assert arrays["open_time"].astype("int64").tolist() == [int(row[0]) for row in truth]
    assert arrays["count"].tolist() == [int(row[8]) for row in truth]
    for name, field in PRINTED.items():
        assert arrays[name].tolist() == [float(row[field]) for row in truth], name
    for position in (0, len(klines) // 2, len(klines) - 1):
        for name, field in PRINTED.items():
            assert klines.printed(position, name) == truth[position][field]
    covered = sum(len(klines.between(one.start, one.end)) for one in klines.segments)
    assert covered == len(klines)
