"""What makes no sense is refused: by name, with what was given and what was expected; never quietly taken for something."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import Any

import evercandle
import numpy
import polars
import pytest
from evercandle.arguments import word_of

from .conftest import DAY, NOW

BEYOND: list[Any] = [
    datetime.max,
    datetime.max.replace(tzinfo=timezone.utc),
    datetime.min,
    date.max,
    date.min,
    "9999-12-31",
    "9999-12-31T23:59:59.999999Z",
    "0001-01-01",
    "1969-12-31T23:59:59Z",
    numpy.datetime64("9999-12-31"),
    numpy.datetime64("300000-01-01", "Y"),
    numpy.datetime64("-300000-01-01", "D"),
    numpy.datetime64(2**62, "h"),
]
"""On somebody's calendar, and beyond what klines are of."""


class Opaque:
    """Of no use as anything."""


class Pretending:
    """Has the method of a whole number, and is none."""

    def __index__(self) -> int:
        raise TypeError("only some of us are whole numbers")


HUGE = 10**5000
"""Python refuses to print it."""

ROWS: dict[str, list[Any]] = {
    "start": [None, 1.5, True, numpy.True_, HUGE, Opaque(), "soon", "\ud800", numpy.array(5), numpy.array([1, 2]), 1_712_016_000, "2024-04-02T00:00[Europe/Berlin]", *BEYOND],
    "end": [1.5, True, Opaque(), "soon", DAY[0], "2024-04-01", *BEYOND],
    "market": [None, 1, "options", ["spot"], Opaque(), HUGE, numpy.array(["spot"]), polars.Series(["spot"])],
    "completeness": [None, True, "maybe"],
    "sources": [None, "rest", 7, [], [1], [""], b"all"],
    "deadline": [True, numpy.True_, numpy.timedelta64(5, "s"), numpy.array(5.0), HUGE, "1", 0, -1, float("nan"), float("inf"), timedelta(0), timedelta(seconds=-1), 10**400, 1e300, Opaque()],
    "priority": [None, 1, "high"],
    "unit": ["parsecs", 1, ["s"], HUGE],
}
SYMBOL: list[Any] = [None, 1, HUGE, b"BTCUSDT", "", ["BTCUSDT"], "\ud800"]
INTERVAL: list[Any] = [None, 1, HUGE, numpy.array(["1m", "1h"]), polars.Series(["1m"]), "7m", "", b"1m", timedelta(minutes=1), ["1m"]]
FLAG: list[Any] = [None, 1, HUGE, numpy.array([True, False]), "yes", "no", Opaque()]
WHOLE: list[Any] = [None, True, numpy.True_, numpy.float64(1), numpy.array(1), numpy.timedelta64(1, "D"), Pretending(), HUGE, 0, -1, 1.0, "1", float("nan"), 2**70]

KLINES: dict[str, Any] = {"symbol": "BTCUSDT", "interval": "1m", "start": DAY[0], "end": DAY[1]}
RATES: dict[str, Any] = {"symbol": "BTCUSDT", "start": DAY[0], "end": DAY[1]}
DOWNLOAD: dict[str, Any] = {"symbols": "BTCUSDT", "intervals": "1h", "start": DAY[0], "end": DAY[1], "progress": False}
EVICT: dict[str, Any] = {"symbol": "BTCUSDT", "interval": "1m", "start": DAY[0], "end": DAY[1]}
TRUTH: dict[str, Any] = {"symbol": "BTCUSDT", "interval": "1h", "start": DAY[0], "end": DAY[1]}
HALT: dict[str, Any] = {"start": DAY[0], "end": DAY[1]}
ONE_RANGE = {name: ROWS[name] for name in ("start", "end", "market", "unit")}
HALF = {"start": [*ROWS["start"], DAY[1], "2024-04-04"], "end": [None, *ROWS["end"]]}

QUESTIONS: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "get_data": (KLINES, {**ROWS, "symbol": SYMBOL, "interval": [*INTERVAL, "fundingRate"], "forming": FLAG}),
    "funding_rates": (RATES, {**ROWS, "symbol": SYMBOL}),
    "price": (
        {"symbol": "BTCUSDT"},
        {"symbol": SYMBOL, "market": ROWS["market"], "substitutes": FLAG, "deadline": ROWS["deadline"]},
    ),
    "prices": (
        {"symbols": ["BTCUSDT"]},
        {"symbols": [None, 1, "BTCUSDT", b"BTCUSDT", [], [1], [""]], "market": ROWS["market"], "substitutes": FLAG},
    ),
    "sentiment": ({}, {"count": WHOLE, "secondary": FLAG, "deadline": ROWS["deadline"]}),
    "health": ({}, {"probe": FLAG}),
    "download": (
        DOWNLOAD,
        {
            **ONE_RANGE,
            "symbols": [None, 1, "", [], [1]],
            "intervals": [None, 1, "", [], [1], "60m", "fundingRate"],
            "progress": FLAG,
            "jobs": WHOLE,
        },
    ),
}
"""Questions of both kinds of client and of the package, with what is right and what is wrong of each parameter."""


def wrongs(right: dict[str, Any], wrong: dict[str, list[Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, {**right, name: given}) for name, all_given in wrong.items() for given in all_given]


def refused(name: str, given: dict[str, Any], ask: Callable[..., Any]) -> None:
    """Asks, and looks at what is said."""
    try:
        answer = ask(**given)
    except evercandle.BadRequestError as error:
        told = str(error)
        assert name in told, f"{name}={given[name]!r}: {told}"
        assert "expected" in told or "say what it counts" in told, told
        assert "Wanted" not in told and "argument '" not in told, told
        assert len(told) < 400, told
    else:
        raise AssertionError(f"{name}={given[name]!r} was taken: {answer!r}")


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_client_refuses_what_makes_no_sense(stored: evercandle.Client, question: str) -> None:
    for name, given in wrongs(*QUESTIONS[question]):
        refused(name, given, getattr(stored, question))


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_packages_functions_refuse_it_too(question: str) -> None:
    for name, given in wrongs(*QUESTIONS[question]):
        refused(name, {**given, "simulate": True}, getattr(evercandle, question))
    for name, given in wrongs(QUESTIONS[question][0], {"simulate": [None, 1, "yes", evercandle.Simulation()]}):
        refused(name, given, getattr(evercandle, question))


def test_numbers_beyond_all_bounds_are_refused_with_their_unit_too(stored: evercandle.Client) -> None:
    for moment in (HUGE, -HUGE, numpy.True_):
        refused("start", {**KLINES, "start": moment, "unit": "ms"}, stored.get_data)
    with pytest.raises(evercandle.BadRequestError, match="step a int"):
        stored.get_data(**KLINES)[::HUGE]


def test_members_of_somebodys_enumeration_are_the_words_that_they_equal() -> None:
    class Patience(str, Enum):
        LITTLE = "best_effort"

    assert word_of(Patience.LITTLE, "completeness", "required", "best_effort") == "best_effort"


def test_and_so_does_a_client_for_asyncio() -> None:
    async def work() -> None:
        async with evercandle.AsyncClient(simulate=evercandle.Simulation(seed=7, now=NOW)) as client:
            for question, table in QUESTIONS.items():
                for name, given in wrongs(*table):
                    with pytest.raises(evercandle.BadRequestError, match=name):
                        await getattr(client, question)(**given)

    asyncio.run(asyncio.wait_for(work(), 60))


def test_a_client_is_not_made_of_anything_else() -> None:
    wrong: dict[str, list[Any]] = {
        "cache_dir": [1, "", b"/tmp", Opaque(), "a\0b"],
        "config": [1, "", b"/tmp", Opaque(), "\ud800"],
        "settings": [1, "x", [("engine", 1)], {"engine": Opaque()}, {"engine": {"attempts": float("nan")}}],
        "simulate": [None, 1, "yes", Opaque()],
    }
    for name, given in wrongs({"simulate": True}, wrong):
        refused(name, given, evercandle.Client)
    refused("settings", {"settings": {"cache": 1}, "cache_dir": "x"}, evercandle.Client)
    terms: dict[str, list[Any]] = {
        "seed": [None, 1.5, True, -1, 2**64],
        "now": [1.5, "soon", True, *BEYOND],
        "recorded": ["/nope", 1, "", Path(__file__)],
    }

    def simulating(**given: Any) -> evercandle.Client:
        return evercandle.Client(simulate=evercandle.Simulation(**given))

    for name, given in wrongs({}, terms):
        refused(name, given, simulating)


def test_a_cache_is_told_exactly_what_to_remove(client: evercandle.Client) -> None:
    client.get_data(**KLINES)
    wrong: dict[str, list[Any]] = {
        **ONE_RANGE,
        **HALF,
        "symbol": [one for one in SYMBOL if one is not None],
        "interval": [one for one in INTERVAL if one is not None],
        "everything": FLAG,
    }
    for name, given in wrongs(EVICT, wrong):
        refused(name, given, client.cache.evict)
    for size in (True, -1, 1.5, "1G", 2**70):
        refused("size_max", {"size_max": size}, client.cache.evict)
    mixed: dict[str, list[dict[str, Any]]] = {
        "nothing was named: expected": [{}],
        "half a series was named: expected": [{"symbol": "BTCUSDT"}, {"interval": "1m"}, {"start": DAY[0], "end": DAY[1]}],
        "more than one thing was named: expected": [
            {**EVICT, "size_max": 0},
            {"symbol": "BTCUSDT", "interval": "1m", "everything": True},
            {"symbol": "BTCUSDT", "everything": True},
            {"size_max": 0, "everything": True},
        ],
    }
    for told, all_given in mixed.items():
        for given in all_given:
            with pytest.raises(evercandle.BadRequestError, match=told):
                client.cache.evict(**given)
    assert client.cache.ls()[0].rows == 1440


def test_an_answer_is_cut_and_drawn_only_where_that_makes_sense(stored: evercandle.Client) -> None:
    klines = stored.get_data(**KLINES)
    for name, given in wrongs({"start": DAY[0], "end": DAY[1]}, {**HALF, "unit": ROWS["unit"]}):
        if given[name] is not None and given[name] is not DAY[name == "start"]:
            refused(name, given, klines.between)
    key: Any
    for key in (True, "open", 1.0, None, slice("a", None), (1, 2)):
        with pytest.raises(evercandle.BadRequestError, match="row"):
            klines[key]
    assert klines[numpy.int64(3)] == klines[3]
    for name, given in wrongs({}, {"candles": [*WHOLE, 10.5], "volume": FLAG, "ax": [1, "x"], "title": [1, b"x"]}):
        refused(name, given, klines.plot)
    for name, given in wrongs({"position": 0, "column": "close"}, {"position": [None, -1, 1.0, True], "column": [1, ""]}):
        refused(name, given, klines.printed)
    for text in ("price", "open_time"):
        refused("column", {"position": 0, "column": text}, klines.printed)
    refused("position", {"position": 1440, "column": "open"}, klines.printed)
    refused("column", {"column": "price"}, klines.to_numpy)
    refused("column", {"column": 1}, klines.to_numpy)
    for name, given in wrongs({}, {"source": FLAG, "writable": FLAG}):
        refused(name, given, klines.to_pandas)
    for ask in (klines.to_polars, klines.to_arrow):
        for name, given in wrongs({}, {"source": FLAG}):
            refused(name, given, ask)


def test_the_remote_control_takes_no_nonsense_either(client: evercandle.Client) -> None:
    simulator = client.simulator
    table: list[tuple[Callable[..., Any], dict[str, Any], dict[str, list[Any]]]] = [
        (simulator.truth, TRUTH, {**ONE_RANGE, **HALF, "symbol": SYMBOL, "interval": [*INTERVAL, "1x"]}),
        (simulator.funding_truth, RATES, {**ONE_RANGE, **HALF, "symbol": SYMBOL}),
        (simulator.halt, HALT, {**ONE_RANGE, **HALF}),
        (simulator.set_status, {"symbol": "BTCUSDT", "status": "HALT"}, {"symbol": SYMBOL, "status": [None, 1, ""]}),
        (simulator.advance, {}, {"by": [None, 1, "1h", timedelta(seconds=-1), timedelta(days=366 * 8000), timedelta.max]}),
        (simulator.requests, {}, {"containing": [None, 1, b"x"]}),
        (simulator.clear, {}, {"fault": ["all", True, -1, 1.5]}),
        (simulator.control, {"method": "GET", "target": "faults"}, {"method": [None, 1], "target": [None, 1, ""]}),
        (simulator.control, {"method": "POST", "target": "faults"}, {"body": [Opaque()]}),
        (client.control, {"provider": "binance", "how": "reset"}, {"provider": [None, 1], "how": [None, "off", 1]}),
    ]
    for ask, right, wrong in table:
        for name, given in wrongs(right, wrong):
            refused(name, given, ask)
    assert simulator.faults() == []
    nonsense: list[dict[str, Any]] = [
        {"effect": "no_such"},
        {"effect": "refuse", "times": "x"},
        {"effect": "latency", "milliseconds": Opaque()},
    ]
    for about in nonsense:
        with pytest.raises(evercandle.BadRequestError):
            simulator.inject(**about)


def test_a_clock_that_runs_is_not_moved() -> None:
    with evercandle.Client(simulate=True) as client:
        with pytest.raises(evercandle.BadRequestError, match="now="):
            client.simulator.advance(timedelta(hours=1))


def test_a_probability_is_no_percentage(client: evercandle.Client) -> None:
    for given in (5, -0.1, float("nan"), True, "1"):
        with pytest.raises(evercandle.BadRequestError, match="probability is .*: expected a number from 0 to 1"):
            client.simulator.inject("refuse", probability=given)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert client.simulator.faults() == []


def test_a_folder_that_cannot_be_written_down_is_refused(tmp_path: Path) -> None:
    folder = f"{tmp_path}/\udcff"
    with pytest.raises(evercandle.BadRequestError, match="^cache_dir is .*: expected a path in UTF-8"):
        evercandle.Client(cache_dir=folder)
    with pytest.raises(evercandle.BadRequestError, match="^settings: .*: expected texts in UTF-8"):
        evercandle.Client(settings={"cache": {"dir": folder}})
