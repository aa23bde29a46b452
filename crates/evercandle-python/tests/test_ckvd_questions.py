"""Questions that are odd or wrong: each is answered rightly, or refused by the name of its parameter."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from inspect import isclass
from typing import Any

import evercandle
import numpy
import pandas
import pytest
from evercandle.ckvd import (
    ChartType,
    CKVDConfig,
    CryptoKlineVisionData,
    DataProvider,
    DataSource,
    Interval,
    KlineUpdate,
    MarketType,
    StreamConfig,
    errors,
    fetch_market_data,
)
from evercandle.ckvd.utils.market_constraints import get_market_symbol_format, validate_symbol_for_market_type

from .test_ckvd_promises import at, check, spot as spot, world as world

DAY = (at("2024-04-02"), at("2024-04-03"))


# --- times ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime(2024, 4, 2), datetime(2024, 4, 3)),
        (date(2024, 4, 2), date(2024, 4, 3)),
        ("2024-04-02", "2024-04-03T00:00:00Z"),
        (pandas.Timestamp("2024-04-02"), pandas.Timestamp("2024-04-03T09:00", tz="Asia/Tokyo")),
        (numpy.datetime64("2024-04-02"), numpy.datetime64("2024-04-03")),
        (DAY[0].astimezone(timezone(timedelta(hours=-7))), DAY[1].astimezone(timezone(timedelta(hours=5.5)))),
    ],
)
def test_a_moment_may_be_told_in_many_ways(
    world: evercandle.Client, spot: CryptoKlineVisionData, start: Any, end: Any
) -> None:
    for reindexed in (True, False):
        frame = spot.get_data("BTCUSDT", start, end, Interval.HOUR_1, auto_reindex=reindexed)
        assert (frame.index[0], frame.index[-1], len(frame)) == (DAY[0], at("2024-04-02T23:00"), 24)
        check(world, frame, "BTCUSDT", "1h")


@pytest.mark.parametrize(
    "wrong", [None, 1711929600000, 1.5, True, [], "yesterday", "", pandas.NaT, datetime.min, datetime.max]
)
def test_what_is_no_moment_is_refused_by_the_name_of_its_parameter(
    world: evercandle.Client, spot: CryptoKlineVisionData, wrong: Any
) -> None:
    with pytest.raises(ValueError, match="^start_time.*expected"):
        spot.get_data("BTCUSDT", wrong, DAY[1])
    with pytest.raises(ValueError, match="^end_time.*expected"):
        spot.get_data("BTCUSDT", DAY[0], wrong, Interval.DAY_3)
    if wrong is not None:
        with pytest.raises(ValueError, match="^end_time.*expected"):
            CryptoKlineVisionData.calculate_time_range(end_time=wrong)
    assert world.simulator.requests() == []


HUGE = 10**5000
"""Python refuses to print it."""


# --- values of the wrong kind ---------------------------------------------------------------------------------------------

WHAT = (DataProvider.BINANCE, MarketType.SPOT, ChartType.KLINES, "BTCUSDT", Interval.HOUR_1)


def _fetch(**told: Any) -> object:
    names = ("provider", "market_type", "chart_type", "symbol", "interval")
    whole: dict[str, Any] = {**dict(zip(names, WHAT)), **told}
    return fetch_market_data(**whole)


def _get(**told: Any) -> object:
    whole: dict[str, Any] = {"symbol": "BTCUSDT", "start_time": DAY[0], "end_time": DAY[1], **told}
    get_data: Any = CryptoKlineVisionData().get_data
    return get_data(**whole)


def _create(**told: Any) -> object:
    whole: dict[str, Any] = {"provider": DataProvider.BINANCE, **told}
    return CryptoKlineVisionData.create(**whole)


def _stream(**told: Any) -> object:
    whole: dict[str, Any] = {"market_type": MarketType.SPOT, **told}
    return StreamConfig(**whole)


@pytest.mark.parametrize(
    ("ask", "parameter", "wrong"),
    [
        (_get, "symbol", None),
        (_get, "symbol", 5),
        (_get, "symbol", "ſOLUSDT"),
        (_get, "interval", None),
        (_get, "interval", "1H"),
        (_get, "interval", 60),
        (_get, "interval", HUGE),
        (_get, "interval", numpy.array(["1h", "1m"])),
        (_get, "symbol", HUGE),
        (_get, "start_time", HUGE),
        (_get, "end_time", "2262-04-12"),
        (_get, "chart_type", "klines"),
        (_get, "enforce_source", None),
        (_get, "include_source_info", "no"),
        (_get, "auto_reindex", "no"),
        (_get, "return_polars", "no"),
        (_fetch, "provider", "binance"),
        (_fetch, "market_type", "spot"),
        (_fetch, "chart_type", "klines"),
        (_fetch, "symbol", None),
        (_fetch, "interval", "1x"),
        (_fetch, "days", "3"),
        (_fetch, "days", None),
        (_fetch, "days", 0),
        (_fetch, "days", True),
        (_fetch, "days", HUGE),
        (_fetch, "days", numpy.timedelta64(3, "D")),
        (_fetch, "days", numpy.array([3])),
        (_fetch, "days", 10**9),
        (_fetch, "start_time", 5),
        (_fetch, "use_cache", None),
        (_fetch, "max_retries", "3"),
        (_fetch, "max_retries", -1),
        (_fetch, "max_retries", HUGE),
        (_create, "provider", "binance"),
        (_create, "market_type", "spot"),
        (_create, "chart_type", "klines"),
        (_create, "retry_count", "3"),
        (_create, "retry_count", True),
        (_create, "cache_dir", 5),
        (_create, "cache_dir", ""),
        (_create, "use_cache", "yes"),
        (_create, "log_level", 3),
        (_create, "http_timeout", "3"),
        (_create, "http_timeout", True),
        (_create, "http_timeout", 1e300),
        (_create, "http_timeout", None),
        (_create, "vision_enabled", None),
        (_create, "fcp_priority", "REST"),
        (_stream, "market_type", "spot"),
        (_stream, "provider", "binance"),
        (_stream, "queue_maxsize", "many"),
        (_stream, "queue_maxsize", 1.5),
        (_stream, "ping_interval", 0),
        (_stream, "ping_interval", True),
        (_stream, "ping_timeout", 1e300),
        (_stream, "confirmed_only", "yes"),
        (_stream, "reconciliation_enabled", None),
        (_stream, "reconciliation_cooldown_seconds", -1),
        (_stream, "max_reconnect_attempts", -1),
    ],
    ids=lambda one: getattr(one, "__name__", one if isinstance(one, str) else type(one).__name__),
)
def test_what_makes_no_sense_is_refused_by_the_name_of_its_parameter(
    world: evercandle.Client, ask: Callable[..., object], parameter: str, wrong: Any
) -> None:
    with pytest.raises(ValueError, match=rf"^{parameter} .*expected"):
        ask(**{parameter: wrong})
    assert world.simulator.requests() == []


def test_settings_may_be_numpys() -> None:
    two: Any = numpy.int64(2)
    yes: Any = numpy.True_
    config = CKVDConfig(
        MarketType.SPOT, DataProvider.BINANCE, use_cache=yes, retry_count=two, http_timeout=two, cache_dir=None
    )
    assert (config.use_cache, config.retry_count, config.http_timeout, config.cache_dir) == (True, 2, 2.0, None)
    stream = StreamConfig(MarketType.SPOT, queue_maxsize=two, confirmed_only=yes, reconciliation_cooldown_seconds=0)
    assert (stream.queue_maxsize, stream.confirmed_only, stream.reconciliation_cooldown_seconds) == (2, True, 0)


def test_settings_of_the_wrong_kind_are_type_errors_as_documented() -> None:
    wrong: Any = "spot"
    with pytest.raises(TypeError, match="market_type 'spot': expected a MarketType"):
        CKVDConfig(market_type=wrong, provider=DataProvider.BINANCE)


def test_members_of_another_packages_enums_are_known_by_their_names(world: evercandle.Client) -> None:
    """So programs may go over import by import, and modules may be loaded twice."""
    enum: Any = Enum
    markets = enum("MarketType", ["SPOT", "FUTURES_USDT"])
    intervals = enum("Interval", [("HOUR_1", "1h")])
    sources = enum("DataSource", ["AUTO", "REST"])
    manager = CryptoKlineVisionData.create(DataProvider.BINANCE, markets.FUTURES_USDT)
    assert manager.market_type is MarketType.FUTURES_USDT
    frame = manager.get_data("BTCUSDT", *DAY, intervals.HOUR_1, enforce_source=sources.REST)
    check(world, frame, "BTCUSDT", "1h", "um")


def test_the_cache_alone_without_a_cache_is_refused_as_both_pages_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (ValueError, RuntimeError):
        with pytest.raises(kind, match="expected use_cache=True"):
            CryptoKlineVisionData(use_cache=False).get_data("BTCUSDT", *DAY, enforce_source=DataSource.CACHE)


# --- symbols --------------------------------------------------------------------------------------------------------------


def test_a_symbol_of_another_market_is_refused_with_the_one_that_is_meant() -> None:
    cases = [
        ("BTCUSDT", MarketType.FUTURES_COIN, "BTCUSD_PERP"),
        ("btcusd", MarketType.FUTURES_COIN, "BTCUSD_PERP"),
        ("ETH", MarketType.FUTURES_COIN, "ETHUSD_PERP"),
        ("BTCUSD_PERP", MarketType.SPOT, "BTCUSDT"),
        ("ETHUSD_PERP", MarketType.FUTURES_USDT, "ETHUSDT"),
    ]
    for symbol, market, meant in cases:
        assert get_market_symbol_format(symbol.upper(), market) == meant
        for refuse in (
            lambda: validate_symbol_for_market_type(symbol, market),
            lambda: CryptoKlineVisionData(market_type=market).get_data(symbol, *DAY),
        ):
            with pytest.raises(ValueError, match=rf"Try using '{meant}' instead\."):
                refuse()
        assert validate_symbol_for_market_type(meant, market)
    assert validate_symbol_for_market_type("BTCUSD_240628", MarketType.FUTURES_COIN)
    assert get_market_symbol_format(None, MarketType.FUTURES_COIN) == "BTCUSD_PERP"
    assert get_market_symbol_format("BTCUSDT_240628", MarketType.FUTURES_USDT) == "BTCUSDT_240628"


# --- answers --------------------------------------------------------------------------------------------------------------


def test_columns_can_be_cast_to_the_types_that_are_published(world: evercandle.Client, spot: CryptoKlineVisionData) -> None:
    frame = spot.get_data("BTCUSDT", *DAY, Interval.HOUR_1, include_source_info=False)
    assert frame.astype(CryptoKlineVisionData.OUTPUT_DTYPES).equals(frame)
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == CryptoKlineVisionData.OUTPUT_DTYPES


def test_what_archives_do_not_have_yet_is_warned_of_with_a_reason(
    world: evercandle.Client, spot: CryptoKlineVisionData, caplog: pytest.LogCaptureFixture
) -> None:
    young = (at("2024-06-13"), at("2024-06-14T12:00"), Interval.HOUR_1)
    frame = spot.get_data("BTCUSDT", *young, enforce_source="VISION")
    assert int(frame["open"].isna().sum()) == 12
    assert caplog.messages[-1].endswith("2024-06-14T00:00:00+00:00: none of the sources that may be asked has them: VISION")
    with pytest.raises(errors.DataRetrievalError, match=r"none of the sources that may be asked has them: VISION"):
        spot.get_data("BTCUSDT", at("2024-06-14"), at("2024-06-14T12:00"), enforce_source="VISION")


def test_the_row_of_a_slot_without_a_candle_is_no_update(world: evercandle.Client, spot: CryptoKlineVisionData) -> None:
    world.simulator.halt("2024-05-28T02:00", "2024-05-28T04:10")
    frame = spot.get_data("BTCUSDT", at("2024-05-28"), at("2024-05-29"))
    hole: Any = frame.loc[frame["open"].isna()].iloc[0]
    with pytest.raises(ValueError, match="has no values"):
        KlineUpdate.from_historical_row(hole, "BTCUSDT", "1m")


# --- exceptions -----------------------------------------------------------------------------------------------------------

_MADE: dict[str, tuple[Any, ...]] = {
    "RateLimitError": (30, "slow down"),
    "HTTPError": (502, "bad gateway"),
    "APIError": (-1121, "no such symbol"),
    "SymbolNotFoundError": (-1121, "no such symbol"),
    "DataNotAvailableError": ("BTCUSDT", MarketType.SPOT, at("2017-01-01"), at("2017-08-17")),
    "WrongKindError": ("days", "3", "a number"),
    "NotOfferedError": ("OKX", "use Binance"),
    "NotOfferedImportError": ("OKX", "use Binance"),
    "NotOfferedAttributeError": ("OKX", "use Binance"),
}
_KINDS = [one for one in vars(errors).values() if isclass(one) and issubclass(one, Exception)]


@pytest.mark.parametrize("kind", [one for one in _KINDS if not one.__name__.startswith("_")], ids=lambda one: one.__name__)
def test_exceptions_survive_pickling_and_copying(kind: Any) -> None:
    error = kind(*_MADE.get(kind.__name__, ("what went wrong",)))
    error.details["more"] = ["to", "say"]
    error.add_note("seen at noon") if hasattr(error, "add_note") else None
    assert error.message == str(error)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is kind and str(again) == str(error)
        assert vars(again) == vars(error)
    assert copy.deepcopy(error).details is not error.details
