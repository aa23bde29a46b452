"""The package's functions: one client per process and kind, made when it is first wanted."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterable
from datetime import timedelta
from typing import Literal

from .arguments import flag_of
from .bulk import DownloadReport
from .client import Client
from .docstrings import SIMULATE, told_as
from .funding import FundingRates
from .klines import Klines
from .latest import Price, Prices, Sentiment
from .questions import Completeness, Sources
from .upstreams import Health
from .vocabulary import Interval, Market, TimeLike, Unit

# Reentrant: a signal's handler may ask while it is held.
_lock = threading.RLock()
_clients: dict[bool, Client] = {}


def default_client(simulate: bool = False) -> Client:
    """The client behind the package's functions."""
    simulate = flag_of(simulate, "simulate")
    with _lock:
        client = _open_client(simulate)
        if client is None:
            made = Client(simulate=simulate)
            # Meanwhile a signal's handler may have asked too.
            client = _clients[simulate] = _open_client(simulate) or made
        return client


def _open_client(simulate: bool) -> Client | None:
    client = _clients.get(simulate)
    return None if client is None or client.is_closed else client


def _forget() -> None:
    """In a forked child: the lock may have been held, and the clients are the parent's."""
    global _lock
    _lock = threading.RLock()
    _clients.clear()


def _close() -> None:
    with _lock:
        clients = list(_clients.values())
        _clients.clear()
    for client in clients:
        client.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
atexit.register(_close)


@told_as(Client.get_data, SIMULATE)
def get_data(
    symbol: str,
    interval: Interval | str,
    start: TimeLike,
    end: TimeLike | None = None,
    *,
    market: Market | str = "spot",
    completeness: Completeness = "required",
    sources: Sources = "all",
    forming: bool = False,
    deadline: float | timedelta | None = None,
    priority: Literal["interactive", "bulk"] = "interactive",
    unit: Unit | None = None,
    simulate: bool = False,
) -> Klines:
    """See :meth:`Client.get_data`."""
    return default_client(simulate).get_data(
        symbol, interval, start, end, market=market, completeness=completeness, sources=sources, forming=forming,
        deadline=deadline, priority=priority, unit=unit
    )


@told_as(Client.funding_rates, SIMULATE)
def funding_rates(
    symbol: str,
    start: TimeLike,
    end: TimeLike | None = None,
    *,
    market: Market | str = "um",
    completeness: Completeness = "required",
    sources: Sources = "all",
    deadline: float | timedelta | None = None,
    priority: Literal["interactive", "bulk"] = "interactive",
    unit: Unit | None = None,
    simulate: bool = False,
) -> FundingRates:
    """See :meth:`Client.funding_rates`."""
    return default_client(simulate).funding_rates(
        symbol, start, end, market=market, completeness=completeness, sources=sources, deadline=deadline,
        priority=priority, unit=unit
    )


@told_as(Client.price, SIMULATE)
def price(
    symbol: str,
    *,
    market: Market | str = "spot",
    substitutes: bool = True,
    deadline: float | timedelta | None = None,
    simulate: bool = False,
) -> Price:
    """See :meth:`Client.price`."""
    return default_client(simulate).price(symbol, market=market, substitutes=substitutes, deadline=deadline)


@told_as(Client.prices, SIMULATE)
def prices(
    symbols: Iterable[str],
    *,
    market: Market | str = "spot",
    substitutes: bool = True,
    deadline: float | timedelta | None = None,
    simulate: bool = False,
) -> Prices:
    """See :meth:`Client.prices`."""
    return default_client(simulate).prices(symbols, market=market, substitutes=substitutes, deadline=deadline)


@told_as(Client.sentiment, SIMULATE)
def sentiment(
    *,
    count: int = 1,
    secondary: bool = True,
    deadline: float | timedelta | None = None,
    simulate: bool = False,
) -> Sentiment:
    """See :meth:`Client.sentiment`."""
    return default_client(simulate).sentiment(count=count, secondary=secondary, deadline=deadline)


@told_as(Client.health, SIMULATE)
def health(*, probe: bool = False, simulate: bool = False) -> Health:
    """See :meth:`Client.health`."""
    return default_client(simulate).health(probe=probe)


@told_as(Client.download, SIMULATE)
def download(
    symbols: str | Iterable[str],
    intervals: Interval | str | Iterable[Interval | str],
    start: TimeLike,
    end: TimeLike | None = None,
    *,
    market: Market | str = "spot",
    progress: bool = True,
    jobs: int = 4,
    unit: Unit | None = None,
    simulate: bool = False,
) -> DownloadReport:
    """See :meth:`Client.download`."""
    return default_client(simulate).download(
        symbols, intervals, start, end, market=market, progress=progress, jobs=jobs, unit=unit
    )
