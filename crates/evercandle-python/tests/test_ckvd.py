"""The public face of ``evercandle.ckvd``: names, signatures, values, columns, types, errors."""

from __future__ import annotations

import gc
import inspect
import json
import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import evercandle
import evercandle.ckvd as ckvd
import pytest
from evercandle.ckvd import (
    ChartType,
    CKVDConfig,
    CryptoKlineVisionData,
    DataProvider,
    DataSource,
    Interval,
    KlineStream,
    KlineUpdate,
    MarketType,
    StreamConfig,
    fetch_market_data,
)
from evercandle.ckvd import engine, errors
from evercandle.ckvd.config import FileType

from .test_ckvd_promises import at, spot as spot, world as world

UTC = timezone.utc

NAMES = {
    "CKVDConfig",
    "ChartType",
    "CryptoKlineVisionData",
    "DataProvider",
    "DataSource",
    "Interval",
    "KlineStream",
    "KlineUpdate",
    "MarketType",
    "StreamConfig",
    "fetch_market_data",
}


def test_every_public_name_is_there_and_described() -> None:
    assert set(ckvd.__all__) == NAMES <= set(dir(ckvd))
    for name in NAMES:
        assert inspect.getdoc(getattr(ckvd, name)), name
    assert ckvd.__version__ == evercandle.__version__ and isinstance(ckvd.__author__, str)
    with pytest.raises(AttributeError, match="expected one of"):
        getattr(ckvd, "Nothing")


def test_importing_it_loads_neither_frames_nor_anything_unasked() -> None:
    heavy = ("pandas", "polars", "numpy", "evercandle.ckvd.manager", "loguru")
    code = f"import sys, evercandle.ckvd; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_names_are_found_where_programs_import_them_from() -> None:
    from evercandle.ckvd.core.streaming.kline_update import KlineUpdate as update
    from evercandle.ckvd.core.sync.ckvd_lib import fetch_market_data as fetch
    from evercandle.ckvd.core.sync.crypto_kline_vision_data import CryptoKlineVisionData as manager, DataSource as source
    from evercandle.ckvd.utils.for_core.rest_exceptions import RateLimitError, RestAPIError
    from evercandle.ckvd.utils.for_core.streaming_exceptions import StreamingError
    from evercandle.ckvd.utils.for_core.vision_exceptions import UnsupportedIntervalError, VisionAPIError
    from evercandle.ckvd.utils.market_constraints import MarketType as market, validate_symbol_for_market_type

    assert (manager, source, fetch, update, market) == (
        CryptoKlineVisionData,
        DataSource,
        fetch_market_data,
        KlineUpdate,
        MarketType,
    )
    assert issubclass(RateLimitError, RestAPIError) and issubclass(UnsupportedIntervalError, ValueError)
    assert issubclass(StreamingError, Exception) and issubclass(VisionAPIError, Exception)
    with pytest.raises(ValueError, match=r"Try using 'BTCUSD_PERP' instead\."):
        validate_symbol_for_market_type("BTCUSDT", MarketType.FUTURES_COIN)


# --- signatures and values ------------------------------------------------------------------------------------------------

SAID: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (
        CryptoKlineVisionData,
        {
            "provider": DataProvider.BINANCE,
            "market_type": MarketType.SPOT,
            "chart_type": ChartType.KLINES,
            "use_cache": True,
            "cache_dir": None,
            "retry_count": 3,
            "log_level": "WARNING",
            "suppress_http_debug": True,
            "quiet_mode": False,
        },
    ),
    (CryptoKlineVisionData.create, {"provider": None, "market_type": None, "kwargs": inspect.Parameter.empty}),
    (
        CryptoKlineVisionData.calculate_time_range,
        {"start_time": None, "end_time": None, "days": 3, "interval": Interval.MINUTE_1},
    ),
    (
        CryptoKlineVisionData.get_data,
        {
            "self": inspect.Parameter.empty,
            "symbol": inspect.Parameter.empty,
            "start_time": inspect.Parameter.empty,
            "end_time": inspect.Parameter.empty,
            "interval": Interval.MINUTE_1,
            "chart_type": None,
            "include_source_info": True,
            "enforce_source": DataSource.AUTO,
            "auto_reindex": True,
            "return_polars": False,
        },
    ),
    (
        CryptoKlineVisionData.reconfigure_logging,
        {"self": inspect.Parameter.empty, "log_level": None, "suppress_http_debug": None, "quiet_mode": None},
    ),
    (
        CryptoKlineVisionData.create_stream,
        {
            "self": inspect.Parameter.empty,
            "confirmed_only": True,
            "queue_maxsize": 1000,
            "max_reconnect_attempts": 5,
            "reconciliation_enabled": False,
        },
    ),
    (
        CryptoKlineVisionData.stream_data_sync,
        {
            "self": inspect.Parameter.empty,
            "symbol": inspect.Parameter.empty,
            "interval": inspect.Parameter.empty,
            "confirmed_only": True,
            "queue_maxsize": 1000,
            "reconciliation_enabled": False,
        },
    ),
    (
        fetch_market_data,
        {
            **dict.fromkeys(("provider", "market_type", "chart_type", "symbol", "interval"), inspect.Parameter.empty),
            "start_time": None,
            "end_time": None,
            "days": 3,
            "use_cache": True,
            "enforce_source": "AUTO",
            "max_retries": 3,
            "return_polars": False,
        },
    ),
    (KlineStream, {"config": inspect.Parameter.empty, "client": inspect.Parameter.empty, "fetch_fn": None}),
    (
        KlineUpdate,
        {
            **dict.fromkeys(
                ("symbol", "interval", "open_time", "open", "high", "low", "close", "volume", "close_time", "is_closed"),
                inspect.Parameter.empty,
            ),
            "data_source": "STREAMING",
            "open_time_ms": 0,
        },
    ),
    (
        StreamConfig,
        {
            "market_type": inspect.Parameter.empty,
            "provider": DataProvider.BINANCE,
            "max_reconnect_attempts": 5,
            "reconnect_delay_base": 1.0,
            "reconnect_delay_max": 60.0,
            "ping_interval": 20.0,
            "ping_timeout": 10.0,
            "queue_maxsize": 1000,
            "confirmed_only": True,
            "compression": None,
            "log_level": "ERROR",
            "reconciliation_enabled": False,
            "reconciliation_watermark_factor": 2.0,
            "reconciliation_max_gap_intervals": 1440,
            "reconciliation_cooldown_seconds": 30.0,
        },
    ),
    (
        errors.DataNotAvailableError,
        dict.fromkeys(("symbol", "market_type", "requested_start", "earliest_available"), inspect.Parameter.empty),
    ),
]


@pytest.mark.parametrize(("thing", "said"), SAID, ids=lambda one: getattr(one, "__qualname__", ""))
def test_parameters_have_their_names_order_and_defaults(thing: Callable[..., Any], said: dict[str, Any]) -> None:
    parameters = inspect.signature(thing).parameters
    assert {name: one.default for name, one in parameters.items()} == said
    assert list(parameters) == list(said)


def test_settings_have_their_defaults_and_refuse_what_makes_no_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    config = CKVDConfig(MarketType.SPOT, DataProvider.BINANCE)
    assert (config.chart_type, config.cache_dir, config.use_cache) == (ChartType.KLINES, None, True)
    assert (config.retry_count, config.log_level, config.http_timeout) == (5, "WARNING", 30.0)
    assert (config.suppress_http_debug, config.quiet_mode, config.vision_enabled) == (True, False, True)
    assert config.fcp_priority == [DataSource.CACHE, DataSource.VISION, DataSource.REST]
    other = CKVDConfig.create(DataProvider.BINANCE, MarketType.SPOT, cache_dir="/tmp/x", log_level="debug")
    assert (other.cache_dir, other.log_level) == (Path("/tmp/x"), "DEBUG")
    with pytest.raises(AttributeError):
        setattr(config, "use_cache", False)
    wrong: list[dict[str, Any]] = [
        {"retry_count": -1},
        {"http_timeout": -1},
        {"http_timeout": 0},
        {"log_level": "LOUD"},
        {"fcp_priority": []},
        {"fcp_priority": [DataSource.REST, DataSource.REST]},
        {"fcp_priority": ["TAPE"]},
        {"market_type": "spot"},
    ]
    for options in wrong:
        whole: dict[str, Any] = {"market_type": MarketType.SPOT, "provider": DataProvider.BINANCE, **options}
        with pytest.raises(ValueError, match=next(iter(options))):
            CKVDConfig(**whole)
    with pytest.raises(TypeError, match="retries"):
        CryptoKlineVisionData.create(DataProvider.BINANCE, retries=3)
    for word in ("false", "0", "NO"):
        monkeypatch.setenv("CKVD_ENABLE_CACHE", word)
        assert not CKVDConfig(MarketType.SPOT, DataProvider.BINANCE, use_cache=True).use_cache


def test_enums_have_their_values_and_methods() -> None:
    assert [one.value for one in DataProvider] == [1, 2, 3]
    assert [(one.name, one.value) for one in MarketType] == [
        ("SPOT", 1),
        ("FUTURES_USDT", 2),
        ("FUTURES_COIN", 3),
        ("FUTURES", 4),
        ("OPTIONS", 5),
    ]
    assert [(one.name, one.value) for one in DataSource] == [
        ("AUTO", 1),
        ("REST", 2),
        ("VISION", 3),
        ("CACHE", 4),
        ("STREAMING", 5),
    ]
    assert [one.value for one in ChartType] == ["klines", "fundingRate", "market/candles", "market/history-candles"]
    assert [one.name for one in FileType] == ["DATA", "CHECKSUM", "CACHE", "METADATA"]
    assert " ".join(map(str, Interval)) == "1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M"
    names = "SECOND_1 MINUTE_1 MINUTE_3 MINUTE_5 MINUTE_15 MINUTE_30 HOUR_1 HOUR_2 HOUR_4 HOUR_6 HOUR_8 HOUR_12"
    assert [one.name for one in Interval] == [*names.split(), "DAY_1", "DAY_3", "WEEK_1", "MONTH_1"]
    assert Interval.MONTH_1.to_seconds() == 2_592_000 and Interval.HOUR_12.to_seconds() == 43_200
    assert Interval.get_default() is Interval.SECOND_1

    paths = ["spot", "futures/um", "futures/cm", "futures/um", "options"]
    assert [one.vision_api_path for one in MarketType] == paths
    assert [one.is_futures for one in MarketType] == [False, True, True, True, False]
    words = ("spot", "futures", "futures_usdt", "UM", "futures_coin", "cm", "options", "eapi")
    assert [MarketType.from_string(word).value for word in words] == [1, 4, 2, 2, 3, 3, 5, 5]
    assert DataProvider.from_string("Binance") is DataProvider.BINANCE
    assert ChartType.from_string("fundingrate") is ChartType.FUNDING_RATE
    assert ChartType.KLINES.endpoint == ChartType.KLINES.vision_api_path == "klines"
    assert ChartType.FUNDING_RATE.is_supported_by_market(MarketType.FUTURES_COIN)
    assert not ChartType.FUNDING_RATE.is_supported_by_market(MarketType.SPOT)
    assert ChartType.OKX_CANDLES.is_supported_by_provider(DataProvider.OKX)
    assert not ChartType.KLINES.is_supported_by_provider(DataProvider.TRADESTATION)
    for kind in (DataProvider, MarketType, ChartType):
        with pytest.raises(ValueError, match="expected one of"):
            kind.from_string("nonsense")


def test_managers_have_their_attributes(tmp_path: Path) -> None:
    with CryptoKlineVisionData.create(DataProvider.BINANCE, cache_dir=tmp_path, log_level="info") as manager:
        assert (manager.provider, manager.market_type) == (DataProvider.BINANCE, MarketType.SPOT)
        assert (manager.chart_type, manager.use_cache, manager.cache_dir) == (ChartType.KLINES, True, tmp_path)
        assert (manager.retry_count, manager.log_level) == (5, "INFO")
        assert (manager.suppress_http_debug, manager.quiet_mode) == (True, False)
        manager.reconfigure_logging("error", False, True)
        assert (manager.log_level, manager.suppress_http_debug, manager.quiet_mode) == ("ERROR", False, True)
    kind = CryptoKlineVisionData
    assert (kind.VISION_DATA_DELAY_HOURS, kind.REST_CHUNK_SIZE, kind.REST_MAX_CHUNKS) == (48, 1000, 1000)
    assert kind.DEFAULT_MARKET_TYPE is MarketType.SPOT
    assert list(kind.FUNDING_RATE_DTYPES) == ["contracts", "funding_interval", "funding_rate"]
    with pytest.raises(ValueError, match="Data provider must be specified"):
        CryptoKlineVisionData.create()


def test_ranges_are_worked_out_from_what_is_said() -> None:
    work_out = CryptoKlineVisionData.calculate_time_range
    start, end = at("2024-04-01T10:20:30"), at("2024-04-05T11:40:50")
    assert work_out(start, end, interval=Interval.HOUR_1) == (at("2024-04-01T10:00"), at("2024-04-05T11:00"))
    assert work_out(start_time=start, days=2) == (at("2024-04-01T10:20"), at("2024-04-03T10:20"))
    assert work_out(end_time=datetime(2024, 4, 5, 11, 40, 50)) == (at("2024-04-02T11:40"), at("2024-04-05T11:40"))
    first, last = work_out()
    assert last - first == timedelta(days=3) and datetime.now(UTC) - last < timedelta(minutes=2)
    with pytest.raises(ValueError, match="expected start < end"):
        work_out(end, start)


# --- frames -------------------------------------------------------------------------------------------------------------

COLUMNS = {
    "open": "float64",
    "high": "float64",
    "low": "float64",
    "close": "float64",
    "volume": "float64",
    "close_time": "datetime64[ns, UTC]",
    "quote_asset_volume": "float64",
    "count": "int64",
    "taker_buy_volume": "float64",
    "taker_buy_quote_volume": "float64",
    "_data_source": "object",
}


def test_pandas_columns_have_their_names_and_types(world: evercandle.Client, spot: CryptoKlineVisionData) -> None:
    span = (at("2024-06-11"), at("2024-06-14T12:00"), Interval.HOUR_1)
    spot.get_data("BTCUSDT", at("2024-06-11"), at("2024-06-12"), Interval.HOUR_1, enforce_source="VISION")
    for _ in range(2):
        frame = spot.get_data("BTCUSDT", *span)
        assert {str(name): str(kind) for name, kind in frame.dtypes.items()} == COLUMNS
        assert (str(frame.index.dtype), frame.index.name) == ("datetime64[ns, UTC]", "open_time")
        assert len(set(frame["_data_source"])) > 1, "of several origins, and the types are the same"
    bare = spot.get_data("BTCUSDT", *span, include_source_info=False)
    assert list(bare.columns) == list(COLUMNS)[:-1] == list(CryptoKlineVisionData.OUTPUT_DTYPES)
    futures = CryptoKlineVisionData.create(DataProvider.BINANCE, MarketType.FUTURES_COIN)
    coin = futures.get_data("BTCUSD_PERP", *span)
    assert {str(name): str(kind) for name, kind in coin.dtypes.items()} == COLUMNS


def test_a_slot_without_a_candle_is_a_row_of_nothing_or_no_row(
    world: evercandle.Client, spot: CryptoKlineVisionData
) -> None:
    world.simulator.halt("2024-05-28T02:00", "2024-05-28T04:10")
    whole = spot.get_data("BTCUSDT", at("2024-05-28"), at("2024-05-29"))
    assert len(whole) == 1440 and int(whole["open"].isna().sum()) == 130
    assert str(whole["count"].dtype) == "float64" and str(whole["close_time"].dtype) == "datetime64[ns, UTC]"
    assert whole.attrs["gaps"][0]["slots"] == 130 and "_fcp_partial" not in whole.attrs
    asked = len(world.simulator.requests())
    rows = spot.get_data("BTCUSDT", at("2024-05-28"), at("2024-05-29"), auto_reindex=False)
    assert len(rows) == 1310 and str(rows["count"].dtype) == "int64"
    assert len(world.simulator.requests()) == asked, "a known outage is not asked for again"


def test_polars_columns_have_their_names_and_types(spot: CryptoKlineVisionData) -> None:
    import polars

    frame = spot.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-03"), Interval.HOUR_1, return_polars=True)
    moment = polars.Datetime("us", "UTC")
    kinds: dict[str, Any] = dict.fromkeys(COLUMNS, polars.Float64)
    kinds |= {"close_time": moment, "count": polars.Int64, "_data_source": polars.String}
    assert dict(frame.schema) == {"open_time": moment, **kinds}


def test_a_window_within_one_candle_is_that_candle(spot: CryptoKlineVisionData) -> None:
    frame = spot.get_data("BTCUSDT", at("2024-04-02T10:10"), at("2024-04-02T10:50"), Interval.HOUR_1)
    assert frame.index.tolist() == [at("2024-04-02T10:00")]
    none = spot.get_data("BTCUSDT", at("2024-04-02T10:10"), at("2024-04-02T10:50"), Interval.HOUR_1, auto_reindex=False)
    assert len(none) == 0 and str(none["count"].dtype) == "int64"


def test_threads_share_a_manager(spot: CryptoKlineVisionData) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def ask(symbol: str) -> int:
        return len(spot.get_data(symbol, at("2024-04-02"), at("2024-04-04"), Interval.MINUTE_15))

    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(ask, ["BTCUSDT", "ETHUSDT"] * 10)) == {192}


def test_managers_with_caches_of_their_own_do_not_hold_files_for_ever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("evercandle.ckvd.engine._CLIENTS_MAX", 3)
    monkeypatch.setattr("evercandle.ckvd.engine._clients", {})

    def ask(number: int) -> int:
        manager = CryptoKlineVisionData(cache_dir=tmp_path / str(number))
        with pytest.raises(errors.DataRetrievalError):
            manager.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-03"), enforce_source="CACHE")
        gc.collect()
        return len(os.listdir("/dev/fd"))

    held = [ask(number) for number in range(12)]
    assert held[-1] <= held[4] + 1


def test_times_of_any_zone_and_intervals_by_value(spot: CryptoKlineVisionData) -> None:
    tokyo = timezone(timedelta(hours=9))
    start, end = datetime(2024, 4, 2, 9, tzinfo=tokyo), datetime(2024, 4, 2, 12, tzinfo=tokyo)
    by_value: Any = "1h"
    frame = spot.get_data("btcusdt", start, end, by_value)
    assert frame.index.tolist() == [at("2024-04-02T00:00"), at("2024-04-02T01:00"), at("2024-04-02T02:00")]


# --- errors -------------------------------------------------------------------------------------------------------------


def test_questions_that_make_no_sense_are_refused_by_name(
    world: evercandle.Client, spot: CryptoKlineVisionData
) -> None:
    day = (at("2024-04-02"), at("2024-04-03"))
    wrong: list[Any] = ["", "../x", "a/b", "a\\b", "A\0B", "BTC USDT", "BTCUSDT\n", "%2e%2e", "A" * 31, None, "BTCUSD_PERP"]
    for symbol in wrong:
        with pytest.raises(ValueError, match="expected|Try using"):
            spot.get_data(symbol, *day)
    assert world.simulator.requests() == []
    with pytest.raises(ValueError, match="expected start < end"):
        spot.get_data("BTCUSDT", day[1], day[0])
    with pytest.raises(ValueError, match="has not come yet"):
        spot.get_data("BTCUSDT", at("2030-01-01"), at("2030-01-02"))
    with pytest.raises(errors.SymbolNotFoundError) as unknown:
        spot.get_data("NOPEUSDT", *day)
    assert unknown.value.code == -1121 and isinstance(unknown.value, (ValueError, errors.RestAPIError))
    assert unknown.value.details["symbol"] == "NOPEUSDT"
    futures = CryptoKlineVisionData.create(DataProvider.BINANCE, MarketType.FUTURES_USDT)
    with pytest.raises(errors.UnsupportedIntervalError) as unsupported:
        futures.get_data("BTCUSDT", *day, Interval.SECOND_1)
    assert unsupported.value.details["interval"] == "1s" and "1s" not in unsupported.value.details["supported"]


def test_an_outage_is_a_runtime_error_with_the_reasons(world: evercandle.Client, spot: CryptoKlineVisionData) -> None:
    world.simulator.inject("status", status=503, body="")
    with pytest.raises(RuntimeError, match="All data sources failed") as caught:
        spot.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-03"))
    error = caught.value
    assert isinstance(error, errors.DataRetrievalError) and isinstance(error, errors.RestAPIError)
    assert {one["provider"] for gap in error.details["gaps"] for one in gap["tried"]} >= {"binance", "binance-vision"}
    json.dumps(error.details)


def test_exceptions_have_their_bases_and_attributes() -> None:
    for name in ("RateLimitError", "HTTPError", "APIError", "NetworkError", "RestTimeoutError", "JSONDecodeError"):
        assert issubclass(getattr(errors, name), errors.RestAPIError)
    for name in ("DataFreshnessError", "ChecksumVerificationError", "DownloadFailedError", "DataNotAvailableError"):
        assert issubclass(getattr(errors, name), errors.VisionAPIError)
    kinds = "Connection Subscription ReconnectExhausted Timeout MessageParse Backpressure Reconciliation GapDetected"
    for name in kinds.split():
        assert issubclass(getattr(errors, f"Stream{name}Error"), errors.StreamingError)
    limited = errors.RateLimitError(30, "slow down", details={"a": 1})
    assert (limited.retry_after, limited.message, limited.details, str(limited)) == (30, "slow down", {"a": 1}, "slow down")
    assert errors.RateLimitError().retry_after is None
    assert errors.HTTPError(502).status_code == 502 and errors.APIError(-1121, "no").code == -1121
    assert errors.VisionAPIError("x").details == {} and errors.UnsupportedIntervalError("x").message == "x"
    with pytest.raises(errors.NotOfferedError, match="OPTIONS.*expected one of SPOT"):
        CryptoKlineVisionData.create(DataProvider.BINANCE, MarketType.OPTIONS)


# --- logs, streams' types, introspection ----------------------------------------------------------------------------------


def test_logging_is_ones_own_and_can_be_hushed(
    world: evercandle.Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = list(logging.getLogger().handlers)
    loud, quiet = CryptoKlineVisionData(), CryptoKlineVisionData(quiet_mode=True)
    assert logging.getLogger().handlers == before
    loud.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-03"), Interval.HOUR_1)
    for manager, said in ((quiet, False), (loud, True)):
        caplog.clear()
        manager.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-04"), Interval.HOUR_1, enforce_source="CACHE")
        assert bool(caplog.records) is said
    monkeypatch.setenv("CKVD_LOG_LEVEL", "ERROR")
    caplog.clear()
    loud.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-04"), Interval.HOUR_1, enforce_source="CACHE")
    assert caplog.records == []
    monkeypatch.delenv("CKVD_LOG_LEVEL")
    loud.reconfigure_logging("DEBUG")
    loud.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-03"), Interval.HOUR_1)
    assert caplog.messages == [
        "BTCUSDT 1h from 2024-04-02 00:00:00+00:00 to 2024-04-03 00:00:00+00:00: 24 rows from CACHE"
    ]


def test_the_environment_may_have_decisions_logged_to_a_file_and_to_the_terminal(tmp_path: Path) -> None:
    program = """
from datetime import datetime
import evercandle
from evercandle.ckvd import CryptoKlineVisionData, Interval, engine
with evercandle.Client(simulate=True) as client, engine.pinned(client):
    CryptoKlineVisionData().get_data("BTCUSDT", datetime(2024, 4, 2), datetime(2024, 4, 3), Interval.HOUR_1)
"""
    path = tmp_path / "new" / "ckvd.log"
    surroundings = {**os.environ, "CKVD_LOG_LEVEL": "debug", "CKVD_LOG_FILE": str(path)}
    run: Any = subprocess.run
    done = run([sys.executable, "-c", program], env=surroundings, capture_output=True, text=True, check=True)
    said = "BTCUSDT 1h from 2024-04-02 00:00:00+00:00 to 2024-04-03 00:00:00+00:00: 24 rows from "
    assert done.stderr.startswith(said) and f" DEBUG {said}" in path.read_text()


def test_an_environment_that_makes_no_sense_is_refused_when_a_manager_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CKVD_LOG_LEVEL", "loud")
    with pytest.raises(ValueError, match="CKVD_LOG_LEVEL 'loud': expected one of"):
        CryptoKlineVisionData()
    monkeypatch.delenv("CKVD_LOG_LEVEL")
    monkeypatch.setenv("CKVD_LOG_FILE", str(tmp_path))
    with pytest.raises(ValueError, match="CKVD_LOG_FILE .* expected a file that can be written"):
        CryptoKlineVisionData()


def test_updates_are_read_from_messages_and_rows(spot: CryptoKlineVisionData) -> None:
    kline: dict[str, Any] = {"s": "BTCUSDT", "i": "1m", "t": 1711929600000, "T": 1711929659999, "x": False}
    message: dict[str, Any] = {"e": "kline", "k": {**kline, "o": "1.5", "h": "2", "l": "1", "c": "1.75", "v": "10"}}
    update = KlineUpdate.from_binance_ws(message)
    assert (update.open_time, update.open, update.is_closed) == (at("2024-04-01"), 1.5, False)
    assert update.dedup_key() == ("BTCUSDT", "1m", at("2024-04-01")) and update.data_source == "STREAMING"
    assert KlineUpdate.from_binance_ws({"data": message}) == update
    assert pickle.loads(pickle.dumps(update)) == update
    with pytest.raises(KeyError):
        KlineUpdate.from_binance_ws({"k": kline})
    frame = spot.get_data("BTCUSDT", at("2024-04-02"), at("2024-04-03"), Interval.HOUR_1)
    row: Any = frame.iloc[0]
    told = KlineUpdate.from_historical_row(row, "BTCUSDT", "1h")
    assert (told.open_time, told.close, told.is_closed) == (at("2024-04-02"), row["close"], True)
    assert told.close_time - told.open_time > timedelta(minutes=59) and told.data_source in ("REST", "VISION")
    with pytest.raises(ValueError, match="queue_maxsize"):
        StreamConfig(MarketType.SPOT, queue_maxsize=0)


def test_programs_can_look_before_they_call() -> None:
    from evercandle.ckvd import __probe__ as probe

    told = probe.discover_api()
    assert set(told) == {"metadata", "classes", "functions", "enums", "exceptions"}
    assert set(told["classes"]) | set(told["functions"]) | set(told["enums"]) == NAMES
    get_data = told["classes"]["CryptoKlineVisionData"]["methods"]["get_data"]
    assert get_data["parameters"][:3] == ["symbol", "start_time", "end_time"] and get_data["docstring"]
    assert told["functions"]["fetch_market_data"]["parameters"][-1] == "return_polars"
    assert told["enums"]["DataSource"]["members"] == ["AUTO", "REST", "VISION", "CACHE", "STREAMING"]
    assert told["exceptions"]["RateLimitError"]["bases"] == ["RestAPIError", "Exception", "BaseException"]
    can = probe.get_capabilities()
    assert can["providers"] == ["BINANCE"] and can["data_sources"] == ["CACHE", "VISION", "REST"]
    assert can["market_types"] == list(can["markets"]) and can["intervals"][-1] == "1M"
    assert "1s" in can["markets"]["SPOT"] and "1s" not in can["markets"]["FUTURES_USDT"]
    assert "OKX" in can["not_offered"] and "FUNDING_RATE" not in can["not_offered"]
    assert can["chart_types"]["FUNDING_RATE"] == ["FUTURES_USDT", "FUTURES", "FUTURES_COIN"]
    json.dumps([told, can])


def test_without_a_cache_nothing_is_left_of_clients_that_are_no_longer_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_CLIENTS_MAX", 1)
    folders: list[Path] = []
    for attempts in (1, 2, 3):
        folders.append(engine.client_of(engine.Opening(False, None, attempts, None)).cache.path)
    gc.collect()
    assert [folder.exists() for folder in folders] == [False, False, True]


def test_a_manager_made_before_a_fork_works_in_the_child(tmp_path: Path) -> None:
    program = """
import os, sys
from datetime import datetime
from pathlib import Path
from evercandle.ckvd import CryptoKlineVisionData, Interval
manager = CryptoKlineVisionData(cache_dir=Path(sys.argv[1]))
days = (datetime(2024, 4, 2), datetime(2024, 4, 3), Interval.HOUR_1)
rows = len(manager.get_data("BTCUSDT", *days))
child = os.fork()
frame = manager.get_data("BTCUSDT", *days)
if child == 0:
    os._exit(rows if set(frame["_data_source"]) == {"CACHE"} else 1)
print(rows, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    with evercandle.Client(simulate=True) as pretended:
        surroundings = {**os.environ, "EVERCANDLE_INTERNET": pretended.simulator.url}
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, str(tmp_path)]
        done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "24 24\n"
