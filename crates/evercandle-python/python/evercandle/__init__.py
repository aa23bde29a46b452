"""Candles that never go dark: cached, verified, with the story of every gap.

    >>> import evercandle
    >>> klines = evercandle.get_data("BTC/USDT", "1m", "2024-01-01", "2024-02-01")
    >>> klines.to_polars()          # or to_pandas(), to_arrow(), to_numpy(): from the cache, without copies
    >>> klines.gaps                 # what is missing, and why
    >>> klines.segments             # who supplied what, and how it was verified
    >>> rates = evercandle.funding_rates("BTCUSDT", "2024-01-01", "2024-02-01")

Offline, with an exchange made up on the spot: ``evercandle.get_data(..., simulate=True)``.

Times are UTC. Ranges are half-open: a kline is in an answer if it *opens* at or after ``start`` and before ``end``.
Nothing is invented: what is missing is a gap with a reason, and an incomplete answer is an error unless it was asked for
(``completeness="best_effort"``).

Threads may share a client. Processes may not: see :class:`Client`.
"""

from __future__ import annotations

from . import cache, errors
from ._native import VERSION as __version__
from .ambient import download, funding_rates, get_data, health, price, prices, sentiment
from .async_client import AsyncClient
from .bulk import DownloadReport, SeriesReport
from .client import Client
from .errors import (
    BadRequestError,
    CacheError,
    ClosedError,
    ConfigError,
    EvercandleError,
    ForkError,
    IncompleteError,
    InternalError,
    NoUpstreamError,
    RateLimitedError,
    UnavailableError,
    UnknownSymbolError,
)
from .upstreams import Health, ProviderHealth
from .answer import Attempt, Gap, Reason, Segment
from .funding import FundingRate, FundingRates
from .klines import Kline, Klines
from .latest import MissingPrice, Price, Prices, Reading, Sentiment
from .simulator import Simulation, Simulator
from .vocabulary import Interval, Market

__all__ = [
    "AsyncClient",
    "Attempt",
    "BadRequestError",
    "CacheError",
    "Client",
    "ClosedError",
    "ConfigError",
    "DownloadReport",
    "EvercandleError",
    "ForkError",
    "FundingRate",
    "FundingRates",
    "Gap",
    "Health",
    "IncompleteError",
    "InternalError",
    "Interval",
    "Kline",
    "Klines",
    "Market",
    "MissingPrice",
    "NoUpstreamError",
    "Price",
    "Prices",
    "ProviderHealth",
    "RateLimitedError",
    "Reading",
    "Reason",
    "Segment",
    "Sentiment",
    "SeriesReport",
    "Simulation",
    "Simulator",
    "UnavailableError",
    "UnknownSymbolError",
    "__version__",
    "cache",
    "download",
    "errors",
    "funding_rates",
    "get_data",
    "health",
    "price",
    "prices",
    "sentiment",
]
