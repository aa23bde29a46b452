"""What crypto-kline-vision-data documents and its code does not do: here it is done. One test per promise."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import evercandle
import pytest
from evercandle.ckvd import (
    ChartType,
    CryptoKlineVisionData,
    DataProvider,
    DataSource,
    Interval,
    MarketType,
    StreamConfig,
    engine,
    fetch_market_data,
)
from evercandle.ckvd.core.sync.ckvd_lib import calculate_date_range
from evercandle.ckvd.errors import (
    DataNotAvailableError,
    DataRetrievalError,
    NotOfferedError,
    RateLimitError,
    RestAPIError,
    SymbolNotFoundError,
    UnsupportedIntervalError,
)

from .conftest import NOW

UTC = timezone.utc


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def world() -> Iterator[evercandle.Client]:
    with evercandle.Client(simulate=evercandle.Simulation(seed=7, now=NOW)) as client, engine.pinned(client):
        yield client


@pytest.fixture
def spot(world: evercandle.Client) -> CryptoKlineVisionData:
    return CryptoKlineVisionData.create(DataProvider.BINANCE, MarketType.SPOT)


def check(world: evercandle.Client, frame: Any, symbol: str, interval: str, market: str = "spot") -> None:
    """Every row that has values is the truth, and none that exists is missing between the first and the last."""
    rows = frame.dropna(subset=["open"])
    last = rows.index[-1] + timedelta(microseconds=1)
    truth = world.simulator.truth(symbol, interval, rows.index[0].to_pydatetime(), last.to_pydatetime(), market=market)
    assert [int(moment.value) // 1_000 for moment in rows.index] == [int(row[0]) for row in truth]
    fields = {"open": 1, "high": 2, "low": 3, "close": 4, "volume": 5, "quote_asset_volume": 7, "count": 8}
    for name, field in {**fields, "taker_buy_volume": 9, "taker_buy_quote_volume": 10}.items():
        assert rows[name].tolist() == [float(row[field]) for row in truth], name


@pytest.mark.parametrize(
    ("market", "native", "symbol", "interval"),
    [
        (MarketType.SPOT, "spot", "ETHUSDT", Interval.MINUTE_5),
        (MarketType.FUTURES_USDT, "um", "BTCUSDT", Interval.MINUTE_15),
        (MarketType.FUTURES_COIN, "cm", "BTCUSD_PERP", Interval.HOUR_4),
    ],
)
def test_any_symbol_and_interval_from_vision(
    world: evercandle.Client, market: MarketType, native: str, symbol: str, interval: Interval
) -> None:
    manager = CryptoKlineVisionData.create(DataProvider.BINANCE, market)
    frame = manager.get_data(symbol, at("2024-04-02"), at("2024-04-05"), interval, enforce_source=DataSource.VISION)
    assert set(frame["_data_source"]) == {"VISION"}
    check(world, frame, symbol, interval.value, native)
    assert world.simulator.requests("/klines?") == [], "REST was not asked"


def test_a_pandas_result_from_the_cache_has_its_values_and_its_index(
    world: evercandle.Client, spot: CryptoKlineVisionData
) -> None:
    cold = spot.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-04"), Interval.HOUR_1)
    warm = spot.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-04"), Interval.HOUR_1)
    assert set(warm["_data_source"]) == {"CACHE"}
    assert warm.index[0] == at("2024-04-02") and not warm.isna().to_numpy().any()
    for name in cold.columns.drop("_data_source"):
        assert cold[name].equals(warm[name])
    assert cold.index.equals(warm.index)
    rest = spot.get_data("ETHUSDT", at("2024-04-02"), at("2024-04-03"), Interval.HOUR_1, enforce_source="REST")
    check(world, rest, "ETHUSDT", "1h")


def test_forming_candles_are_never_remembered(world: evercandle.Client, spot: CryptoKlineVisionData) -> None:
    start, end = at("2024-06-14T10:00"), at("2024-06-14T13:00")
    forming = spot.get_data("BTCUSDT", start, end, Interval.HOUR_1)
    assert forming["_data_source"].tolist() == ["REST"] * 3
    world.simulator.advance(timedelta(hours=1))
    closed = spot.get_data("BTCUSDT", start, end, Interval.HOUR_1)
    check(world, closed, "BTCUSDT", "1h")
    assert closed["count"].iloc[-1] > forming["count"].iloc[-1], "the candle of noon went on after it was first seen"


def test_young_days_are_asked_for_afresh_and_remembered_for_an_outage_only(
    world: evercandle.Client, spot: CryptoKlineVisionData
) -> None:
    start, end = at("2024-06-14T06:00"), at("2024-06-14T12:00")
    for _ in range(2):
        frame = spot.get_data("BTCUSDT", start, end, Interval.HOUR_1)
        assert set(frame["_data_source"]) == {"REST"}, "asked for afresh"
    world.simulator.inject("refuse")
    frame = spot.get_data("BTCUSDT", start, end, Interval.HOUR_1)
    assert set(frame["_data_source"]) == {"CACHE"}
    check(world, frame, "BTCUSDT", "1h")


def test_cache_writes_never_break_what_is_being_read(world: evercandle.Client, spot: CryptoKlineVisionData) -> None:
    """A table that is a view of the cache stays as it was, while the same day is written again and evicted."""
    spot.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-02T12:00"), Interval.MINUTE_1)
    held = spot.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-02T12:00"), return_polars=True)
    before = held["close"].to_list()
    spot.get_data("BTCUSDT", at("2024-04-01"), at("2024-04-05"), Interval.MINUTE_1)
    assert world.cache.evict(everything=True).files > 0
    assert held["close"].to_list() == before


def test_an_archive_that_does_not_match_its_checksum_is_not_used(
    world: evercandle.Client, spot: CryptoKlineVisionData
) -> None:
    world.simulator.inject("wrong_checksum", upstream="binance-vision")
    frame = spot.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-12"), Interval.MINUTE_1)
    assert set(frame["_data_source"]) == {"REST"}
    check(world, frame, "BTCUSDT", "1m")
    with pytest.raises(DataRetrievalError):
        spot.get_data("ETHUSDT", at("2024-04-02"), at("2024-04-03"), enforce_source=DataSource.VISION)


def test_filling_a_gap_adds_rows(world: evercandle.Client, spot: CryptoKlineVisionData) -> None:
    spot.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-02T06:00"), enforce_source="REST")
    spot.get_data("BTCUSDT", at("2024-04-02T18:00"), at("2024-04-03"), enforce_source="REST")
    spot.get_data("BTCUSDT", at("2024-04-02T06:00"), at("2024-04-02T18:00"))
    whole = spot.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-03"), enforce_source="CACHE")
    assert len(whole) == 1440
    check(world, whole, "BTCUSDT", "1m")


def test_the_cache_alone_is_offline_and_sources_may_be_named_by_strings(
    world: evercandle.Client, spot: CryptoKlineVisionData
) -> None:
    with pytest.raises(DataRetrievalError, match="All data sources failed"):
        spot.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-03"), enforce_source=DataSource.CACHE)
    assert world.simulator.requests() == []
    rest = spot.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-03"), enforce_source="rest")
    assert set(rest["_data_source"]) == {"REST"} and world.simulator.requests("data.binance.vision") == []
    world.simulator.forget_requests()
    cached = spot.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-03T02:00"), enforce_source="CACHE")
    assert cached["_data_source"].value_counts().to_dict() == {"CACHE": 1440}
    assert cached["open"].isna().sum() == 120 and cached.attrs["_fcp_partial"] is True
    assert world.simulator.requests() == []
    with pytest.raises(ValueError, match="expected one of AUTO, REST, VISION, CACHE"):
        spot.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-03"), enforce_source="TAPE")


def test_vision_enabled_and_fcp_priority_hold(world: evercandle.Client) -> None:
    days = (at("2024-04-02"), at("2024-04-12"))
    for options in (
        {"vision_enabled": False},
        {"fcp_priority": [DataSource.CACHE, DataSource.REST]},
        {"fcp_priority": ["REST", "VISION", "CACHE"]},
    ):
        manager = CryptoKlineVisionData.create(DataProvider.BINANCE, MarketType.SPOT, use_cache=False, **options)
        assert set(manager.get_data("BTCUSDT", *days)["_data_source"]) == {"REST"}, options
    assert world.simulator.requests("data.binance.vision") == []
    few = (at("2024-04-02"), at("2024-04-03"), Interval.HOUR_1)
    shortest = CryptoKlineVisionData.create(DataProvider.BINANCE).get_data("ETHUSDT", *few)
    assert set(shortest["_data_source"]) == {"REST"}, "one call, where archives take two"
    cache_first = ["CACHE", "VISION", "REST"]
    for order in (cache_first, ["VISION", "REST"], ["VISION", "CACHE", "REST"], cache_first):
        told = CryptoKlineVisionData.create(DataProvider.BINANCE, MarketType.FUTURES_USDT, fcp_priority=order)
        frame = told.get_data("ETHUSDT", *few)
        assert set(frame["_data_source"]) == {"VISION"}, order
        world.cache.evict(everything=True)
    archives = CryptoKlineVisionData.create(DataProvider.BINANCE, fcp_priority=[DataSource.VISION])
    assert set(archives.get_data("BTCUSDT", *days)["_data_source"]) == {"VISION"}


def test_http_timeout_and_retries_reach_the_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with evercandle.Client(simulate=True) as pretended:
        monkeypatch.setenv("EVERCANDLE_INTERNET", pretended.simulator.url)
        pretended.simulator.inject("black_hole")
        manager = CryptoKlineVisionData.create(
            DataProvider.BINANCE, cache_dir=tmp_path, http_timeout=0.2, retry_count=1
        )
        with pytest.raises(DataRetrievalError, match="no answer within 200 ms"):
            manager.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-03"), enforce_source="REST")


def test_a_rate_limit_reaches_the_caller(world: evercandle.Client, spot: CryptoKlineVisionData) -> None:
    world.simulator.inject("rate_limited", retry_after=37)
    for _ in range(2):
        with pytest.raises(RateLimitError) as caught:
            spot.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-03"))
        assert caught.value.retry_after is not None and 0 < caught.value.retry_after <= 37
        assert isinstance(caught.value, RestAPIError) and caught.value.details["gaps"]


def test_an_outage_is_not_called_a_limit_because_one_source_has_one(world: evercandle.Client) -> None:
    world.simulator.inject("rate_limited", upstream="binance-vision", retry_after=37)
    world.simulator.inject("status", upstream="binance-spot", status=503, body="")
    for order in (["VISION", "REST"], ["REST", "VISION"]):
        manager = CryptoKlineVisionData.create(DataProvider.BINANCE, fcp_priority=order)
        with pytest.raises(DataRetrievalError):
            manager.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-03"))


def test_a_partial_answer_says_that_it_was_limited(
    world: evercandle.Client, spot: CryptoKlineVisionData, caplog: pytest.LogCaptureFixture
) -> None:
    spot.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-03"), Interval.HOUR_1)
    world.simulator.inject("rate_limited", retry_after=37)
    frame = spot.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-04"), Interval.HOUR_1)
    assert frame.attrs["_rate_limited"] is True and frame.attrs["_fcp_partial"] is True
    assert frame["open"].isna().sum() == 24 and "24 klines could not be had" in caplog.text


@pytest.mark.parametrize(
    ("interval", "hole", "after"),
    [
        (Interval.MINUTE_1, "2024-05-28T00:00", "2024-05-28T00:01"),
        (Interval.MINUTE_1, "2024-05-28T11:59", "2024-05-28T12:00"),
        (Interval.DAY_1, "2024-05-28", "2024-05-29"),
    ],
)
def test_one_missing_candle_is_found_and_asked_for(
    world: evercandle.Client, spot: CryptoKlineVisionData, interval: Interval, hole: str, after: str
) -> None:
    start, end = at("2024-05-26"), at("2024-05-30")
    spot.get_data("BTCUSDT", start, at(hole), interval, enforce_source="REST")
    spot.get_data("BTCUSDT", at(after), end, interval, enforce_source="REST")
    held = spot.get_data("BTCUSDT", start, end, interval, enforce_source="CACHE")
    assert held.index[held["open"].isna()].tolist() == [at(hole)]
    whole = spot.get_data("BTCUSDT", start, end, interval)
    assert not whole["open"].isna().any() and whole["_data_source"].isin(["REST", "VISION"]).sum() == 1
    check(world, whole, "BTCUSDT", interval.value)


@pytest.mark.parametrize(
    ("interval", "opens"),
    [
        (Interval.WEEK_1, ["2024-01-01", "2024-01-08", "2024-01-15"]),
        (Interval.MONTH_1, ["2024-01-01", "2024-02-01", "2024-03-01"]),
        # BTCUSDT was listed on 2017-08-17, and three-day candles count from there.
        (Interval.DAY_3, ["2024-01-04", "2024-01-07", "2024-01-10"]),
    ],
)
def test_weeks_months_and_three_days_open_where_the_exchange_opens_them(
    world: evercandle.Client, spot: CryptoKlineVisionData, interval: Interval, opens: list[str]
) -> None:
    frame = spot.get_data("BTCUSDT", at("2024-01-05"), at("2024-05-30"), interval)
    assert [moment.strftime("%Y-%m-%d") for moment in frame.index[:3]] == opens
    assert frame.attrs == {}
    assert not frame["open"].isna().any()
    check(world, frame, "BTCUSDT", interval.value)


@pytest.mark.parametrize("reindexed", [True, False])
@pytest.mark.parametrize("source", [True, False])
def test_polars_is_the_pandas_result(
    world: evercandle.Client, spot: CryptoKlineVisionData, reindexed: bool, source: bool
) -> None:
    world.simulator.halt("2024-05-28T02:00", "2024-05-28T04:10")
    asked: dict[str, Any] = {"auto_reindex": reindexed, "include_source_info": source}
    span = (at("2024-05-28"), at("2024-05-29"), Interval.MINUTE_1)
    get_data: Any = spot.get_data
    get_data("BTCUSDT", *span)
    pandas_frame = get_data("BTCUSDT", *span, **asked)
    polars_frame = get_data("BTCUSDT", *span, **asked, return_polars=True)
    assert polars_frame.columns == ["open_time", *pandas_frame.columns]
    assert polars_frame.height == len(pandas_frame) == (1440 if reindexed else 1310)
    assert polars_frame["open_time"].to_list() == pandas_frame.index.to_pydatetime().tolist()
    for name in pandas_frame.columns:
        left, right = polars_frame[name].to_list(), pandas_frame[name]
        assert [value is None for value in left] == right.isna().tolist()
        if name != "close_time":
            assert [value for value in left if value is not None] == right.dropna().tolist(), name


@pytest.mark.parametrize("reindexed", [True, False])
def test_ranges_are_half_open_cold_and_warm(spot: CryptoKlineVisionData, reindexed: bool) -> None:
    for start, end in ((at("2024-04-02"), at("2024-04-02T03:00")), (datetime(2024, 4, 2), datetime(2024, 4, 2, 3))):
        frame = spot.get_data("BTCUSDT", start, end, Interval.HOUR_1, auto_reindex=reindexed)
        assert [moment.hour for moment in frame.index] == [0, 1, 2]


def test_without_reindexing_what_is_not_held_is_fetched(world: evercandle.Client, spot: CryptoKlineVisionData) -> None:
    spot.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-04"), Interval.HOUR_1)
    frame = spot.get_data("BTCUSDT", at("2024-04-01"), at("2024-04-05"), Interval.HOUR_1, auto_reindex=False)
    assert len(frame) == 96
    check(world, frame, "BTCUSDT", "1h")


def test_streams_say_at_once_that_they_are_not_offered(spot: CryptoKlineVisionData) -> None:
    from evercandle.ckvd import KlineStream

    for ask in (
        spot.create_stream,
        lambda: spot.stream_data_sync("BTCUSDT", "1m"),
        lambda: KlineStream(StreamConfig(MarketType.SPOT), None),
        lambda: spot.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-03"), enforce_source="STREAMING"),
    ):
        with pytest.raises(NotOfferedError, match=r"GET /v1/stream.*get_data\(\)"):
            ask()


def check_rates(
    world: evercandle.Client, frame: Any, symbol: str, start: datetime, end: datetime, market: str = "um"
) -> None:
    """Every rate that was settled from the start to before the end, and nothing else, with its own interval or none."""
    truth = world.simulator.funding_truth(symbol, start, end, market=market)
    assert frame.index.name == "time" and str(frame.index.tz) == "UTC"
    assert [int(moment.value) // 1_000 for moment in frame.index] == [time for time, *_ in truth]
    assert frame["funding_rate"].tolist() == [float(rate) for _, _, rate, _ in truth]
    assert set(frame["contracts"]) == ({symbol} if truth else set())
    published = frame["funding_interval"].notna().tolist()
    told = [interval for interval, known in zip(frame["funding_interval"], published) if known]
    assert told == [f"{hours}h" for (_, hours, *_), known in zip(truth, published) if known]


def rates_of(market: MarketType) -> CryptoKlineVisionData:
    return CryptoKlineVisionData.create(DataProvider.BINANCE, market, chart_type=ChartType.FUNDING_RATE)


@pytest.mark.parametrize(
    ("market", "native", "symbol"),
    [
        (MarketType.FUTURES_USDT, "um", "BTCUSDT"),
        (MarketType.FUTURES, "um", "ETHUSDT"),
        (MarketType.FUTURES_COIN, "cm", "BTCUSD_PERP"),
    ],
)
def test_funding_rates_have_the_documented_columns_and_are_cached(
    world: evercandle.Client, market: MarketType, native: str, symbol: str
) -> None:
    span = (at("2024-04-01"), at("2024-06-10"))
    cold = rates_of(market).get_data(symbol, *span)
    check_rates(world, cold, symbol, *span, native)
    assert list(cold.columns) == [*CryptoKlineVisionData.FUNDING_RATE_DTYPES, "_data_source"]
    dtypes = CryptoKlineVisionData.FUNDING_RATE_DTYPES.items()
    assert all(str(cold[name].dtype).startswith(kind) for name, kind in dtypes) and cold.attrs == {}
    assert str(cold.index.dtype) == "datetime64[ns, UTC]"
    archived = cold["_data_source"] == "VISION"
    assert set(cold["_data_source"]) <= {"VISION", "REST"}
    assert cold["funding_interval"].notna().equals(archived), "archives publish it, REST does not"
    world.simulator.forget_requests()
    warm = rates_of(market).get_data(symbol, *span, Interval.HOUR_8)
    assert world.simulator.requests() == [] and set(warm["_data_source"]) == {"CACHE"}
    assert warm.drop(columns="_data_source").equals(cold.drop(columns="_data_source"))


def test_funding_rates_held_for_one_range_or_symbol_are_not_taken_for_anothers(world: evercandle.Client) -> None:
    manager = CryptoKlineVisionData.create(DataProvider.BINANCE, MarketType.FUTURES_USDT)
    start = at("2024-06-01")
    for _ in range(2):
        for symbol in ("BTCUSDT", "ETHUSDT"):
            for days in (3, 10, 1):
                end = start + timedelta(days=days)
                frame = manager.get_data(symbol, start, end, chart_type=ChartType.FUNDING_RATE)
                check_rates(world, frame, symbol, start, end)
    month = (at("2024-04-02"), at("2024-05-02"))
    few = manager.get_data("BTCUSDT", month[0], at("2024-04-05"), chart_type=ChartType.FUNDING_RATE)
    many = manager.get_data("BTCUSDT", *month, chart_type=ChartType.FUNDING_RATE)
    check_rates(world, many, "BTCUSDT", *month)
    assert len(few) < 15 and len(many) >= 90
    klines = manager.get_data("BTCUSDT", *month, Interval.HOUR_1)
    check(world, klines, "BTCUSDT", "1h", "um")


@pytest.mark.parametrize(
    ("market", "native", "symbol"),
    [(MarketType.FUTURES_USDT, "um", "BTCUSDT"), (MarketType.FUTURES_COIN, "cm", "BTCUSD_PERP")],
)
def test_funding_rates_come_from_the_source_that_is_named(
    world: evercandle.Client, market: MarketType, native: str, symbol: str
) -> None:
    manager = rates_of(market)
    span = (at("2024-04-02"), at("2024-04-12"))
    with pytest.raises(DataRetrievalError, match="All data sources failed"):
        manager.get_data(symbol, *span, enforce_source="CACHE")
    assert world.simulator.requests() == []
    rest = manager.get_data(symbol, *span, enforce_source=DataSource.REST)
    assert set(rest["_data_source"]) == {"REST"} and world.simulator.requests("data.binance.vision") == []
    world.simulator.forget_requests()
    vision = manager.get_data(symbol, *span, enforce_source=DataSource.VISION)
    assert set(vision["_data_source"]) == {"VISION"} and vision["funding_interval"].notna().all()
    assert rest["funding_interval"].isna().all() and world.simulator.requests("/fundingRate?") == []
    world.simulator.inject("refuse")
    cached = manager.get_data(symbol, *span, enforce_source=DataSource.CACHE)
    assert set(cached["_data_source"]) == {"CACHE"}
    for frame in (rest, vision, cached):
        check_rates(world, frame, symbol, *span, native)


def test_ranges_of_funding_rates_are_half_open_to_the_millisecond(world: evercandle.Client) -> None:
    manager = rates_of(MarketType.FUTURES_USDT)
    whole: Any = manager.get_data("BTCUSDT", at("2024-04-01"), at("2024-04-11"))
    late: datetime = next(moment.to_pydatetime() for moment in whole.index if moment.microsecond)
    for start, end in (
        (late, late + timedelta(minutes=1)),
        (late.replace(microsecond=0), late),
        (late + timedelta(microseconds=1), late + timedelta(hours=7)),
        (late, late + timedelta(days=1)),
    ):
        for reindexed in (True, False):
            frame = manager.get_data("BTCUSDT", start, end, auto_reindex=reindexed)
            check_rates(world, frame, "BTCUSDT", start, end)
            assert str(frame["funding_rate"].dtype) == "float64"
            polars_frame = manager.get_data("BTCUSDT", start, end, return_polars=True)
            assert polars_frame.height == len(frame)


def test_funding_rates_for_polars_are_those_for_pandas(world: evercandle.Client) -> None:
    manager = rates_of(MarketType.FUTURES_COIN)
    span = (at("2024-05-20"), at("2024-06-10"))
    for source in (True, False):
        manager.get_data("BTCUSD_PERP", *span)
        left: Any = manager.get_data("BTCUSD_PERP", *span, include_source_info=source)
        right = manager.get_data("BTCUSD_PERP", *span, include_source_info=source, return_polars=True)
        assert right.columns == ["time", *left.columns] and ("_data_source" in right.columns) is source
        assert right["time"].to_list() == left.index.to_pydatetime().tolist()
        for name in left.columns:
            values = [value if known else None for value, known in zip(left[name], left[name].notna())]
            assert right[name].to_list() == values, name


def test_funding_rates_that_cannot_be_had_are_warned_of_or_an_error(
    world: evercandle.Client, caplog: pytest.LogCaptureFixture
) -> None:
    manager = rates_of(MarketType.FUTURES_USDT)
    manager.get_data("BTCUSDT", at("2024-04-01"), at("2024-05-01"))
    world.simulator.inject("rate_limited", retry_after=37)
    frame = manager.get_data("BTCUSDT", at("2024-04-01"), at("2024-05-03"))
    assert frame.attrs["_fcp_partial"] is True and frame.attrs["_rate_limited"] is True
    [gap] = frame.attrs["gaps"]
    # April's archive ends with the rate that was settled at May's first moment.
    assert (gap["start"], gap["slots"]) == ("2024-05-01T01:00:00+00:00", 47)
    check_rates(world, frame, "BTCUSDT", at("2024-04-01"), at("2024-05-01T01:00"))
    assert "BTCUSDT fundingRate: 47 hours could not be had" in caplog.text
    with pytest.raises(RateLimitError) as caught:
        manager.get_data("ETHUSDT", at("2024-04-01"), at("2024-05-01"))
    assert caught.value.retry_after is not None and 0 < caught.value.retry_after <= 37


def test_questions_for_funding_rates_that_make_no_sense_are_refused(world: evercandle.Client) -> None:
    span = (at("2024-04-02"), at("2024-04-05"))
    with pytest.raises(ValueError, match="expected one of FUTURES_USDT"):
        rates_of(MarketType.SPOT)
    with pytest.raises(ValueError, match="expected one of FUTURES_USDT"):
        CryptoKlineVisionData().get_data("BTCUSDT", *span, chart_type=ChartType.FUNDING_RATE)
    manager = rates_of(MarketType.FUTURES_USDT)
    with pytest.raises(UnsupportedIntervalError):
        manager.get_data("BTCUSDT", *span, Interval.SECOND_1)
    with pytest.raises(ValueError, match="expected start < end"):
        manager.get_data("BTCUSDT", span[1], span[0])
    with pytest.raises(ValueError, match="has not come yet"):
        manager.get_data("BTCUSDT", at("2030-01-01"), at("2030-01-02"))
    with pytest.raises(ValueError, match="only perpetual futures"):
        rates_of(MarketType.FUTURES_COIN).get_data("BTCUSD_240628", *span)
    assert world.simulator.requests() == []
    with pytest.raises(SymbolNotFoundError):
        manager.get_data("NOSUCHUSDT", *span)
    for end in (at("2019-02-01"), at("2020-01-01")):
        with pytest.raises(DataNotAvailableError) as caught:
            manager.get_data("BTCUSDT", at("2019-01-01"), end)
        assert caught.value.earliest_available == at("2019-09-09"), end


def test_fetch_market_data_counts_funding_rates(world: evercandle.Client) -> None:
    what = (DataProvider.BINANCE, MarketType.FUTURES_USDT, ChartType.FUNDING_RATE, "BTCUSDT", Interval.DAY_1)
    start, end = at("2024-04-01T07:30"), at("2024-04-02T16:30")
    frame, _, count = fetch_market_data(*what, start_time=start, end_time=end)
    check_rates(world, frame, "BTCUSDT", start, end)
    assert frame is not None and count == len(frame) > 0
    _, _, again = fetch_market_data(*what, start_time=start, end_time=end, return_polars=True)
    assert again == count


def test_okx_never_gets_binances_rows() -> None:
    for provider in (DataProvider.OKX, DataProvider.TRADESTATION):
        with pytest.raises(NotOfferedError, match=rf"{provider.name}.*\['BINANCE'\]") as caught:
            CryptoKlineVisionData.create(provider, MarketType.SPOT)
        assert isinstance(caught.value, ValueError) and caught.value.details["what"] == f"provider {provider.name}"


# --- what the page lists beyond its table ------------------------------------------------------------------------------


@pytest.mark.parametrize("interval", [Interval.DAY_1, Interval.DAY_3, Interval.WEEK_1, Interval.MONTH_1])
def test_a_range_that_begins_with_the_epoch_is_before_the_listing(
    spot: CryptoKlineVisionData, interval: Interval
) -> None:
    for start, end in (("1970-01-01", "1970-01-02"), ("1970-01-03", "1970-01-04"), ("1970-01-02", "2024-01-01")):
        with pytest.raises(DataNotAvailableError, match="first data at 2017-08"):
            spot.get_data("BTCUSDT", at(start), at(end), interval)
        first, last = calculate_date_range(start, end, interval=interval)
        assert at("1970-01-01") <= first < last


def test_a_range_before_the_listing_is_refused_with_the_first_day(
    world: evercandle.Client, spot: CryptoKlineVisionData
) -> None:
    for end in (at("2017-02-01"), at("2018-01-01")):
        with pytest.raises(DataNotAvailableError) as caught:
            spot.get_data("BTCUSDT", at("2017-01-01"), end, Interval.DAY_1)
        error = caught.value
        assert (error.symbol, error.market_type) == ("BTCUSDT", MarketType.SPOT)
        assert (error.requested_start, error.earliest_available) == (at("2017-01-01"), at("2017-08-17"))
        assert error.details["earliest_available"] == "2017-08-17T00:00:00+00:00"
    listed = spot.get_data("BTCUSDT", at("2017-08-17"), at("2017-08-18"), Interval.HOUR_1)
    assert len(listed) == 24


@pytest.mark.parametrize("interval", [Interval.HOUR_1, Interval.DAY_3, Interval.WEEK_1, Interval.MONTH_1])
@pytest.mark.parametrize("reindexed", [True, False])
def test_such_a_range_is_refused_wherever_it_begins_within_a_candle(
    world: evercandle.Client, spot: CryptoKlineVisionData, interval: Interval, reindexed: bool
) -> None:
    for start in (at("2017-06-02T03:04:05"), at("2017-06-01")):
        with pytest.raises(DataNotAvailableError) as caught:
            spot.get_data("BTCUSDT", start, at("2017-09-20"), interval, auto_reindex=reindexed)
        assert at("2017-07-31") <= caught.value.earliest_available <= at("2017-08-17T04:00")


def test_the_cache_alone_does_not_make_up_when_a_symbol_was_listed(
    world: evercandle.Client, spot: CryptoKlineVisionData
) -> None:
    span = (at("2015-01-01"), at("2015-02-01"), Interval.DAY_1)
    with pytest.raises(DataNotAvailableError):
        spot.get_data("BTCUSDT", *span)
    with pytest.raises(DataRetrievalError, match="none of the sources that may be asked has them: CACHE"):
        spot.get_data("BTCUSDT", *span, enforce_source="CACHE")


def test_without_a_cache_nothing_is_read_and_the_environment_may_say_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    days = (at("2024-04-02"), at("2024-04-03"), Interval.HOUR_1)
    with evercandle.Client(simulate=True) as pretended:
        monkeypatch.setenv("EVERCANDLE_INTERNET", pretended.simulator.url)
        monkeypatch.setenv("CKVD_CACHE_DIR", str(tmp_path))
        for _ in range(2):
            frame = CryptoKlineVisionData(use_cache=False).get_data("BTCUSDT", *days)
            assert "CACHE" not in set(frame["_data_source"])
        assert list(tmp_path.iterdir()) == []
        kept = CryptoKlineVisionData()
        kept.get_data("BTCUSDT", *days)
        assert set(kept.get_data("BTCUSDT", *days)["_data_source"]) == {"CACHE"}
        assert [path.name for path in tmp_path.iterdir()] == ["evercandle"]
        monkeypatch.setenv("CKVD_ENABLE_CACHE", "false")
        off = CryptoKlineVisionData()
        assert not off.use_cache
        assert "CACHE" not in set(off.get_data("BTCUSDT", *days)["_data_source"])
        with pytest.raises(ValueError, match="use_cache=True"):
            off.get_data("BTCUSDT", *days, enforce_source="CACHE")


def test_one_changed_import_is_all_it_takes() -> None:
    """A program as that package's readers write it, with one line changed, as a program of its own."""
    program = """
from datetime import datetime, timezone
from evercandle.ckvd import CryptoKlineVisionData, DataProvider, MarketType, Interval
manager = CryptoKlineVisionData.create(DataProvider.BINANCE, MarketType.FUTURES_USDT)
df = manager.get_data(
    symbol="BTCUSDT",
    start_time=datetime(2024, 4, 1, tzinfo=timezone.utc),
    end_time=datetime(2024, 4, 8, tzinfo=timezone.utc),
    interval=Interval.HOUR_1,
)
manager.close()
print(len(df), df.index.name, df["close"].notna().all())
"""
    with evercandle.Client(simulate=True) as pretended:
        surroundings = {**os.environ, "EVERCANDLE_INTERNET": pretended.simulator.url}
        surroundings["CKVD_ENABLE_CACHE"] = "no"
        done = subprocess.run(
            [sys.executable, "-c", program], env=surroundings, capture_output=True, text=True, check=True
        )
    assert done.stdout == "168 open_time True\n" and done.stderr == ""


def test_fetch_market_data_counts_what_is_there(world: evercandle.Client) -> None:
    what = (DataProvider.BINANCE, MarketType.SPOT, ChartType.KLINES, "BTCUSDT", Interval.HOUR_1)
    frame, seconds, count = fetch_market_data(*what, start_time="2024-04-01", days=2)
    assert frame is not None and (len(frame), count) == (48, 48) and seconds > 0
    frame, _, count = fetch_market_data(*what, end_time=at("2024-04-03T05:30"), days=1, enforce_source="REST")
    assert frame is not None and count == 24 and frame.index[0] == at("2024-04-02T05:00")  # type: ignore[union-attr]  # pyright: ignore
    frame, _, count = fetch_market_data(*what, return_polars=True)
    assert frame is not None and count == 72
    with pytest.raises(ValueError, match="expected start < end"):
        fetch_market_data(*what, start_time="2024-04-03", end_time="2024-04-01")
    with pytest.raises(ValueError, match="expected an ISO 8601"):
        fetch_market_data(*what, start_time="yesterday")


def test_the_forming_candle_comes_from_rest_whatever_is_asked_first(world: evercandle.Client) -> None:
    orders: list[list[str]] = [["VISION", "REST"], ["REST", "CACHE"], ["CACHE", "REST"], ["REST", "VISION"], ["VISION"]]
    for order in orders:
        manager = CryptoKlineVisionData.create(DataProvider.BINANCE, fcp_priority=order)
        frame = manager.get_data("BTCUSDT", at("2024-06-13T22:00"), at("2024-06-14T14:00"), Interval.HOUR_1)
        has_rows = int(frame["open"].notna().sum())
        assert has_rows == (2 if order == ["VISION"] else 15), order
        assert len(frame) == 16


def test_where_three_day_candles_open_is_never_guessed(spot: CryptoKlineVisionData) -> None:
    """Archives have nothing of this month, and without a candle there is no telling where the others open."""
    with pytest.raises(DataRetrievalError, match=r"none of the sources that may be asked has them: VISION"):
        spot.get_data("BTCUSDT", at("2024-06-14T11:00"), at("2024-06-20"), Interval.DAY_3, enforce_source="VISION")
