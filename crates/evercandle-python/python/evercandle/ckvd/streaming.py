"""The types of streams, so that programs which name them can be read and their updates built and compared.

A connection that pushes klines is not offered in Python: what would open one raises :class:`NotOfferedError`. The daemon
has such a stream (``evercandle serve``, ``GET /v1/stream``), and closed klines can be asked for with ``get_data``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NoReturn

from ..arguments import MORE_THAN_0, duration_of, flag_of, number_of, whole_of
from ..vocabulary import datetime_of, shown
from .config import log_level_of, taken
from .enums import DataProvider, MarketType, member_of
from .errors import NotOfferedError
from .grid import micros_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def refuse_streaming(what: str) -> NoReturn:
    """Says what to do instead."""
    raise NotOfferedError(
        what, "run the daemon and read GET /v1/stream (evercandle serve), or ask for closed klines with get_data()"
    )


@dataclass(frozen=True, slots=True)
class KlineUpdate:
    """A kline as a stream tells it; times are aware and UTC."""

    symbol: str
    interval: str
    open_time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    close_time: datetime
    is_closed: bool
    data_source: str = "STREAMING"
    open_time_ms: int = 0

    def dedup_key(self) -> tuple[str, str, datetime]:
        """What two tellings of the same kline have in common: symbol, interval, open time."""
        return (self.symbol, self.interval, self.open_time)

    @classmethod
    def from_binance_ws(cls, raw: Mapping[str, Any]) -> KlineUpdate:
        """From the exchange's message, also inside a combined stream's; raises ``KeyError`` for a field that is missing."""
        message: Mapping[str, Any] = raw["data"] if "data" in raw else raw
        kline: Mapping[str, Any] = message["k"]
        return cls(
            symbol=str(kline["s"]),
            interval=str(kline["i"]),
            open_time=datetime_of(int(kline["t"]) * 1_000),
            open=float(kline["o"]),
            high=float(kline["h"]),
            low=float(kline["l"]),
            close=float(kline["c"]),
            volume=float(kline["v"]),
            close_time=datetime_of(int(kline["T"]) * 1_000),
            is_closed=bool(kline["x"]),
            open_time_ms=int(kline["t"]),
        )

    @classmethod
    def from_historical_row(cls, row: Mapping[str, Any], symbol: str, interval: str) -> KlineUpdate:
        """From a row of ``get_data``, as ``row["open_time"]`` or a pandas row whose name is its open time. Raises
        ``ValueError`` for the row of a slot without a kline."""
        if row["close"] is None or row["close"] != row["close"]:
            raise ValueError(f"the row of {symbol} {interval} has no values: expected one of a slot with a kline")
        opened = _moment(row["open_time"] if "open_time" in row else getattr(row, "name"))
        closes = row["close_time"] if "close_time" in row else None
        told = row["_data_source"] if "_data_source" in row else None
        return cls(
            symbol=symbol,
            interval=interval,
            open_time=opened,
            open=float(row["open"]),
            high=float(row["high"]),
            low=float(row["low"]),
            close=float(row["close"]),
            volume=float(row["volume"]),
            close_time=opened if closes is None else _moment(closes),
            is_closed=True,
            data_source=told if isinstance(told, str) else "REST",
            open_time_ms=micros_of(opened) // 1_000,
        )


def _moment(told: Any) -> datetime:
    moment: datetime = told.to_pydatetime(warn=False) if hasattr(told, "to_pydatetime") else told
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """How a stream would work; raises ``ValueError`` for values that make no sense."""

    market_type: MarketType
    provider: DataProvider = DataProvider.BINANCE
    max_reconnect_attempts: int = 5
    reconnect_delay_base: float = 1.0
    reconnect_delay_max: float = 60.0
    ping_interval: float = 20.0
    ping_timeout: float = 10.0
    queue_maxsize: int = 1000
    confirmed_only: bool = True
    compression: None = None
    log_level: str = "ERROR"
    reconciliation_enabled: bool = False
    reconciliation_watermark_factor: float = 2.0
    reconciliation_max_gap_intervals: int = 1440
    reconciliation_cooldown_seconds: float = 30.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "market_type", member_of(self.market_type, MarketType, "market_type"))
        object.__setattr__(self, "provider", member_of(self.provider, DataProvider, "provider"))
        if self.compression is not None:  # pyright: ignore[reportUnnecessaryComparison]
            raise ValueError(f"compression {shown(self.compression)}: expected None, the exchange has none")
        for name, (read, *bounds) in _CHECKS.items():
            object.__setattr__(self, name, taken(read, getattr(self, name), name, *bounds))
        object.__setattr__(self, "log_level", log_level_of(self.log_level))


_CHECKS: dict[str, tuple[Any, ...]] = {
    "max_reconnect_attempts": (whole_of, 0),
    "reconnect_delay_base": (duration_of,),
    "reconnect_delay_max": (duration_of,),
    "ping_interval": (duration_of,),
    "ping_timeout": (duration_of,),
    "queue_maxsize": (whole_of, 1),
    "confirmed_only": (flag_of,),
    "reconciliation_enabled": (flag_of,),
    "reconciliation_watermark_factor": (number_of, "a number, more than 0", MORE_THAN_0, 1e9),
    "reconciliation_max_gap_intervals": (whole_of, 1),
    "reconciliation_cooldown_seconds": (number_of, "seconds, 0 or more", 0.0, 1e9),
}


class KlineStream:
    """A stream of klines. Not offered: making one raises :class:`NotOfferedError`."""

    def __init__(
        self, config: StreamConfig, client: object, *, fetch_fn: Callable[..., object] | None = None
    ) -> None:
        refuse_streaming("KlineStream")
