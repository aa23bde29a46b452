"""The words of crypto-kline-vision-data: providers, markets, kinds of data, intervals, sources."""

from __future__ import annotations

from enum import Enum, auto
from typing import TypeVar

from ..vocabulary import shown
from .errors import WrongKindError

_Member = TypeVar("_Member", bound=Enum)


def member_of(value: object, kind: type[_Member], parameter: str) -> _Member:
    """The member. Those of a class that was loaded twice, or that is the other package's, are known by their names."""
    if isinstance(value, kind):
        return value
    if isinstance(value, Enum) and type(value).__name__ == kind.__name__ and value.name in kind.__members__:
        return kind[value.name]
    raise WrongKindError(parameter, value, f"a {kind.__name__}, such as {next(iter(kind))!s}")


def _named(kind: str, text: str, known: dict[str, _Member]) -> _Member:
    try:
        return known[text.strip().lower()]
    except (KeyError, AttributeError):
        raise ValueError(f"unknown {kind} {shown(text)}: expected one of {', '.join(known)}") from None


class DataProvider(Enum):
    """Whose data. Only ``BINANCE`` can be had here; the others exist so that programs which name them can be read."""

    BINANCE = auto()
    TRADESTATION = auto()
    OKX = auto()

    @classmethod
    def from_string(cls, provider_str: str) -> DataProvider:
        """The provider of that name, in any case; raises ``ValueError`` for what is none."""
        return _named("data provider", provider_str, {one.name.lower(): one for one in cls})


class MarketType(Enum):
    """A part of the exchange. ``FUTURES`` is the old name of ``FUTURES_USDT``. ``OPTIONS`` cannot be had here."""

    SPOT = auto()
    FUTURES_USDT = auto()
    FUTURES_COIN = auto()
    FUTURES = auto()
    OPTIONS = auto()

    @property
    def is_futures(self) -> bool:
        """Whether it is a market of futures."""
        return self in (MarketType.FUTURES_USDT, MarketType.FUTURES_COIN, MarketType.FUTURES)

    @property
    def vision_api_path(self) -> str:
        """Its folder in the exchange's archives."""
        return _ARCHIVES[self]

    @classmethod
    def from_string(cls, market_type_str: str) -> MarketType:
        """The market of that name, in any case: ``spot``, ``futures``, ``futures_usdt``, ``um``, ``futures_coin``,
        ``cm``, ``options``, ``eapi``; raises ``ValueError`` for what is none."""
        return _named("market type", market_type_str, _MARKETS)


_ARCHIVES = {
    MarketType.SPOT: "spot",
    MarketType.FUTURES_USDT: "futures/um",
    MarketType.FUTURES_COIN: "futures/cm",
    MarketType.FUTURES: "futures/um",
    MarketType.OPTIONS: "options",
}

_MARKETS = {
    "spot": MarketType.SPOT,
    "futures": MarketType.FUTURES,
    "futures_usdt": MarketType.FUTURES_USDT,
    "um": MarketType.FUTURES_USDT,
    "futures_coin": MarketType.FUTURES_COIN,
    "cm": MarketType.FUTURES_COIN,
    "options": MarketType.OPTIONS,
    "eapi": MarketType.OPTIONS,
}


class ChartType(Enum):
    """A kind of data."""

    KLINES = "klines"
    FUNDING_RATE = "fundingRate"
    OKX_CANDLES = "market/candles"
    OKX_HISTORY_CANDLES = "market/history-candles"

    @property
    def endpoint(self) -> str:
        """The last part of its address."""
        return self.value

    @property
    def vision_api_path(self) -> str:
        """Its folder in the exchange's archives."""
        return self.value

    @property
    def supported_markets(self) -> list[MarketType]:
        """Where there is such data."""
        if self is ChartType.KLINES:
            return list(MarketType)
        if self is ChartType.FUNDING_RATE:
            return [one for one in MarketType if one.is_futures]
        return [MarketType.SPOT, MarketType.FUTURES_USDT]

    @property
    def supported_providers(self) -> list[DataProvider]:
        """Who has such data."""
        binance = self in (ChartType.KLINES, ChartType.FUNDING_RATE)
        return [DataProvider.BINANCE] if binance else [DataProvider.OKX]

    @classmethod
    def from_string(cls, chart_type_str: str) -> ChartType:
        """The kind of that value, its last part, or that name, in any case; raises ``ValueError`` for what is none."""
        ends = {one.value.rpartition("/")[2].lower(): one for one in cls}
        values = {one.value.lower(): one for one in cls}
        return _named("chart type", chart_type_str, {**ends, **values, **{one.name.lower(): one for one in cls}})

    def is_supported_by_market(self, market_type: MarketType) -> bool:
        """Whether the market has such data."""
        return market_type in self.supported_markets

    def is_supported_by_provider(self, provider: DataProvider) -> bool:
        """Whether the provider has such data."""
        return provider in self.supported_providers


class Interval(Enum):
    """Length of a kline."""

    SECOND_1 = "1s"
    MINUTE_1 = "1m"
    MINUTE_3 = "3m"
    MINUTE_5 = "5m"
    MINUTE_15 = "15m"
    MINUTE_30 = "30m"
    HOUR_1 = "1h"
    HOUR_2 = "2h"
    HOUR_4 = "4h"
    HOUR_6 = "6h"
    HOUR_8 = "8h"
    HOUR_12 = "12h"
    DAY_1 = "1d"
    DAY_3 = "3d"
    WEEK_1 = "1w"
    MONTH_1 = "1M"

    def __str__(self) -> str:
        return self.value

    def to_seconds(self) -> int:
        """Its length; a month counts as 30 days."""
        return int(self.value[:-1]) * _SECONDS[self.value[-1]]

    @classmethod
    def get_default(cls) -> Interval:
        """The shortest."""
        return cls.SECOND_1


_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "M": 2_592_000}


class DataSource(Enum):
    """Where rows come from."""

    AUTO = auto()
    REST = auto()
    VISION = auto()
    CACHE = auto()
    STREAMING = auto()


class FileType(Enum):
    """Kinds of files."""

    DATA = auto()
    CHECKSUM = auto()
    CACHE = auto()
    METADATA = auto()
