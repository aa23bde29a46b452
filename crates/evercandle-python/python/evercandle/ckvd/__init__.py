"""A drop-in for crypto-kline-vision-data: the same names, signatures and documented behaviour, on Evercandle's engine.

    >>> # from ckvd import CryptoKlineVisionData, DataProvider, MarketType, Interval
    >>> from evercandle.ckvd import CryptoKlineVisionData, DataProvider, MarketType, Interval
    >>> manager = CryptoKlineVisionData.create(DataProvider.BINANCE, MarketType.FUTURES_USDT)
    >>> frame = manager.get_data("BTCUSDT", start_time, end_time, Interval.HOUR_1)

Needs pandas (or Polars, with ``return_polars=True``). What cannot be had, such as OKX, options and streams, raises
:class:`~evercandle.ckvd.errors.NotOfferedError`, which names it and says what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._native import VERSION
from .absent import watch_imports

if TYPE_CHECKING:
    from .config import CKVDConfig
    from .enums import ChartType, DataProvider, DataSource, Interval, MarketType
    from .fetch import fetch_market_data
    from .manager import CryptoKlineVisionData
    from .streaming import KlineStream, KlineUpdate, StreamConfig

__version__ = VERSION
__author__ = "the Evercandle contributors"
__email__ = ""

__all__ = [
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
]

_HOMES = {
    "CKVDConfig": "config",
    "ChartType": "enums",
    "CryptoKlineVisionData": "manager",
    "DataProvider": "enums",
    "DataSource": "enums",
    "Interval": "enums",
    "KlineStream": "streaming",
    "KlineUpdate": "streaming",
    "MarketType": "enums",
    "StreamConfig": "streaming",
    "fetch_market_data": "fetch",
}

watch_imports()


def __getattr__(name: str) -> object:
    """Loads what is asked for, when it is asked for."""
    from importlib import import_module

    if name == "__probe__":
        return import_module(f"{__name__}.__probe__")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}: expected one of {', '.join(__all__)}")
    found: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__probe__"})
