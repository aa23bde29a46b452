"""Which Evercandle client is asked, and in which order it asks the sources.

Managers are made and dropped freely, so the clients behind them are shared: what one call learns about an upstream that is
down or wants to be left alone, the next call knows. They end with the program, or when many others were used since.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
import weakref
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from ..client import Client
from ..errors import EvercandleError, IncompleteError, UnavailableError
from ..vocabulary import datetime_of
from .enums import ChartType, DataSource, Interval
from .grid import micros_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from ..answer import Answer, Gap
    from ..questions import Sources

VISION = "binance-vision"
REST = ("binance", "binance-futures")
"""What Evercandle calls the exchange's archives and its REST interfaces, of which each market has one."""

# Without a cache, what passes through is kept in a folder of its own, which is never read and never larger than this.
_UNREAD_MAX = 64 * 1024 * 1024

# Each holds files open, and programs may want a cache of its own for everything, such as tests.
_CLIENTS_MAX = 32


class Opening(NamedTuple):
    """What a client is made with."""

    use_cache: bool
    cache_dir: Path | None
    attempts: int
    timeout: float | None


_lock = threading.Lock()
_clients: dict[tuple[object, ...], Client] = {}
_removals: list[weakref.finalize[..., Client]] = []
_pinned: Client | None = None


def client_of(opening: Opening) -> Client:
    """The client for that; in a forked child, its own."""
    if _pinned is not None:
        return _pinned
    surroundings = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("EVERCANDLE_")))
    key = (os.getpid(), opening, surroundings)
    with _lock:
        client = _clients.pop(key, None)
        if client is None or client.is_closed:
            client = _open(opening)
        _clients[key] = client
        while len(_clients) > _CLIENTS_MAX:
            # Who is asking it still holds it; it ends with the last of them.
            del _clients[next(iter(_clients))]
        return client


def _open(opening: Opening) -> Client:
    settings: dict[str, Any] = {"engine": {"attempts": max(1, opening.attempts)}}
    if opening.timeout is not None:
        milliseconds = max(1, round(opening.timeout * 1_000))
        settings["http"] = {"timeout_ms": milliseconds, "idle_timeout_ms": milliseconds}
    if opening.use_cache:
        # A folder inside, so that files of the other package are neither read nor touched.
        folder = None if opening.cache_dir is None else opening.cache_dir / "evercandle"
        return Client(cache_dir=folder, settings=settings)
    unread = tempfile.mkdtemp(prefix="evercandle-uncached-")
    settings["cache"] = {"size_max": _UNREAD_MAX}
    client = Client(cache_dir=unread, settings=settings)
    removal = weakref.finalize(client, shutil.rmtree, unread, ignore_errors=True)
    # At exit, `_close` comes first.
    removal.atexit = False
    _removals[:] = [one for one in _removals if one.alive]
    _removals.append(removal)
    return client


def now() -> datetime:
    """What time it is; UTC."""
    return datetime.now(timezone.utc) if _pinned is None else _pinned.now()


@contextmanager
def pinned(client: Client) -> Generator[Client]:
    """Within, every manager asks this client, whatever cache and settings it wants: for tests and rehearsals, with
    ``evercandle.Client(simulate=True)``."""
    global _pinned
    before, _pinned = _pinned, client
    try:
        yield client
    finally:
        _pinned = before


def _forget() -> None:
    """In a forked child: the lock may have been held, and clients and folders are the parent's."""
    global _lock, _pinned
    _lock, _pinned = threading.Lock(), None
    for removal in _removals:
        removal.detach()
    _removals.clear()
    _clients.clear()


def _close() -> None:
    with _lock:
        clients = list(_clients.values())
        _clients.clear()
    for client in clients:
        client.close()
    for remove in list(_removals):
        remove()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
atexit.register(_close)


# --- asking --------------------------------------------------------------------------------------------------------------


class Question(NamedTuple):
    """What is wanted: klines that open from ``start`` to before ``end``, in microseconds since the epoch; or funding rates
    of the hours that do."""

    symbol: str
    market: str
    interval: Interval
    start: int
    end: int
    chart: ChartType = ChartType.KLINES

    @property
    def wants_rates(self) -> bool:
        """Whether it is funding rates that are wanted."""
        return self.chart.name == "FUNDING_RATE"

    @property
    def label(self) -> str:
        """What its rows are, in the exchange's words."""
        return self.chart.value if self.wants_rates else self.interval.value


class Found(NamedTuple):
    """What was found: parts that do not overlap, and what is still missing."""

    parts: list[Answer[Any]]
    gaps: list[Gap]
    failure: EvercandleError | None
    """The last thing that went wrong, if something could still be had later."""

    @property
    def rows(self) -> int:
        """How many."""
        return sum(len(part) for part in self.parts)


_TOGETHER: list[tuple[tuple[DataSource, ...], Sources]] = [
    ((DataSource.CACHE, DataSource.VISION, DataSource.REST), "all"),
    ((DataSource.VISION, DataSource.REST), [VISION, *REST]),
    ((DataSource.CACHE,), "cache"),
    ((DataSource.VISION,), [VISION]),
    ((DataSource.REST,), [*REST]),
]


def tiers_of(order: Sequence[DataSource], one_by_one: bool) -> list[Sources]:
    """Who is asked together, tier by tier: within one, the engine fails over by itself, and asks first whom it takes fewer
    calls to ask. ``one_by_one``: nobody is asked together."""
    if not order:
        return []
    for together, sources in _TOGETHER:
        if tuple(order[: len(together)]) == together and (len(together) == 1 or not one_by_one):
            return [sources, *tiers_of(order[len(together) :], one_by_one)]
    return []


def ask(client: Client, question: Question, tiers: Sequence[Sources]) -> Found:
    """Asks tier by tier, each only for what the ones before could not supply."""
    found = Found([], [], None)
    for sources in tiers:
        earlier = [gap for gap in found.gaps if _is_left(gap, sources)]
        parts, gaps, failure = list(found.parts), [gap for gap in found.gaps if gap not in earlier], found.failure
        spans = [(micros_of(gap.start), micros_of(gap.end)) for gap in earlier]
        for start, end in spans if found.parts else [(question.start, question.end)]:
            told, refusal = _ask(client, question._replace(start=start, end=end), sources)
            # Whoever says when asking again makes sense says more than who does not.
            if refusal is not None and (failure is None or failure.retry_after is None):
                failure = refusal
            if told is not None:
                parts.append(told)
                gaps += [_with_earlier(gap, earlier) for gap in told.gaps]
        found = Found(parts, sorted(gaps, key=lambda gap: gap.start), failure)
    return found


def _is_left(gap: Gap, sources: Sources) -> bool:
    """Whether these sources may know more. Of a candle that has not closed, REST does; and what one upstream has no row
    for, another may have, but the cache does not know better than whoever was asked."""
    return not gap.final or (sources != "cache" and gap.reason != "before_listing")


def _with_earlier(gap: Gap, earlier: Sequence[Gap]) -> Gap:
    """The gap, with what those who were asked before said of it."""
    said = [reason for one in earlier if one.start < gap.end and gap.start < one.end for reason in one.tried]
    return gap._replace(tried=(*said, *gap.tried)) if said and not gap.final else gap


def _ask(
    client: Client, question: Question, sources: Sources
) -> tuple[Answer[Any] | None, EvercandleError | None]:
    try:
        if question.wants_rates:
            rates = client.funding_rates(
                question.symbol,
                datetime_of(question.start),
                datetime_of(question.end),
                market=question.market,
                completeness="best_effort",
                sources=sources,
            )
            return rates, None
        klines = client.get_data(
            question.symbol,
            question.interval.value,
            datetime_of(question.start),
            datetime_of(question.end),
            market=question.market,
            completeness="best_effort",
            sources=sources,
            forming=sources != "cache",
        )
    except (IncompleteError, UnavailableError) as error:
        return error.partial, error
    return klines, None
