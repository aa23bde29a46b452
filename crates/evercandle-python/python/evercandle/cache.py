"""The local cache: list it, measure it, verify it, make it smaller.

The functions are about the cache that the package's functions use; ``client.cache`` has the same for a client's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from .arguments import flag_of, interval_of, market_of, span_of, symbol_of, whole_of
from .docstrings import told_as
from .errors import BadRequestError, EvercandleError
from .vocabulary import FUNDING_RATES, Interval, Market, TimeLike, Unit, datetime_or_none

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from ._native import Client as NativeClient

T = TypeVar("T")

__all__ = ["AsyncCache", "Cache", "CachedSeries", "CacheStats", "Damage", "Evicted", "Verified", "evict", "ls", "path", "stats", "verify"]


class CachedSeries(NamedTuple):
    """What is held of one series."""

    symbol: str
    interval: str
    market: str
    rows: int
    files: int
    bytes: int
    start: datetime | None
    """The first slot held; UTC."""
    end: datetime | None
    """The end of the last slot held; there may be holes between."""


class CacheStats(NamedTuple):
    """The size and the state of the whole."""

    path: str
    series: int
    files: int
    bytes: int
    size_max: int | None
    """The most bytes the files may take, if that is limited."""
    quarantined_files: int
    """Damaged files kept for inspection."""
    quarantined_bytes: int
    readonly: str | None
    """Why nothing is written, if so."""


class Damage(NamedTuple):
    """A file and what is wrong with it."""

    file: str
    why: str


class Verified(NamedTuple):
    """What was found by reading every file."""

    sound: int
    bytes: int
    damaged: list[Damage]
    """Set aside; their klines will be fetched again when they are wanted."""
    skipped: list[Damage]


class Evicted(NamedTuple):
    """What was removed."""

    files: int
    bytes: int


class Cache:
    """A client's cache: ``client.cache``."""

    __slots__ = ("_native",)

    def __init__(self, native: NativeClient) -> None:
        self._native = native

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._native.cache_dir()

    def ls(self) -> list[CachedSeries]:
        """Every series of which something is held."""
        held: list[CachedSeries] = []
        for one in _read(self._native.cache_list()):
            series = one["series"]
            held.append(
                CachedSeries(
                    series["symbol"],
                    series["interval"],
                    series["market"],
                    one["rows"],
                    one["files"],
                    one["bytes"],
                    datetime_or_none(one["start"]),
                    datetime_or_none(one["end"]),
                )
            )
        return held

    def stats(self) -> CacheStats:
        """Size and state of the whole."""
        return CacheStats(**_read(self._native.cache_stats()))

    def verify(self) -> Verified:
        """Reads every file and checks it against the digest in its name; what is damaged is set aside."""
        told = _read(self._native.cache_verify())
        damaged, skipped = ([Damage(**one) for one in told[name]] for name in ("damaged", "skipped"))
        return Verified(told["sound"], told["bytes"], damaged, skipped)

    def evict(
        self,
        symbol: str | None = None,
        interval: Interval | str | None = None,
        *,
        market: Market | str = "spot",
        start: TimeLike | None = None,
        end: TimeLike | None = None,
        size_max: int | None = None,
        everything: bool = False,
        unit: Unit | None = None,
    ) -> Evicted:
        """Removes files. One of three: those of one series, by ``symbol``, ``interval`` (``fundingRate`` for funding
        rates) and ``market`` (with ``start`` and ``end``: those with a slot between); those read longest ago, until the
        rest takes at most ``size_max`` bytes; or ``everything``. Tables that were made stay valid.

        ``size_max`` spares files that were read or written within the last minute, whatever they take: somebody may be at
        work with them. ``everything=True`` spares none.
        """
        everything, market = flag_of(everything, "everything"), market_of(market)
        of_series = any(one is not None for one in (symbol, interval, start, end))
        named = of_series + (size_max is not None) + everything
        if named != 1:
            told = "nothing was named" if named == 0 else "more than one thing was named"
            raise BadRequestError(f"{told}: expected either symbol and interval, or size_max=…, or everything=True")
        if everything:
            return Evicted(**_read(self._native.cache_evict()))
        if size_max is not None:
            return Evicted(**_read(self._native.cache_evict(whole_of(size_max, "size_max", 0))))
        if symbol is None or interval is None:
            raise BadRequestError("half a series was named: expected symbol and interval")
        if (start is None) != (end is None):
            raise BadRequestError("start and end go together: expected both or none")
        span = None if start is None or end is None else span_of(start, end, unit)
        of_rates = isinstance(interval, str) and interval == FUNDING_RATES  # pyright: ignore[reportUnnecessaryIsInstance]
        word = FUNDING_RATES if of_rates else interval_of(interval).value
        return Evicted(**_read(self._native.cache_evict(series=(symbol_of(symbol), word, market), range=span)))

    def __repr__(self) -> str:
        return f"<Cache {whereabouts(self._native)}>"


def whereabouts(native: NativeClient) -> str:
    """The folder of a client's cache, for people; or why it has none any more."""
    try:
        return str(native.cache_dir())
    except EvercandleError as error:
        return error.kind


class AsyncCache:
    """As :class:`Cache`, for asyncio: reading and removing files is awaited."""

    __slots__ = ("_cache",)

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._cache.path

    @told_as(Cache.ls)
    async def ls(self) -> list[CachedSeries]:
        """See :meth:`Cache.ls`."""
        return await _elsewhere(self._cache.ls)

    @told_as(Cache.stats)
    async def stats(self) -> CacheStats:
        """See :meth:`Cache.stats`."""
        return await _elsewhere(self._cache.stats)

    @told_as(Cache.verify)
    async def verify(self) -> Verified:
        """See :meth:`Cache.verify`."""
        return await _elsewhere(self._cache.verify)

    @told_as(Cache.evict)
    async def evict(
        self,
        symbol: str | None = None,
        interval: Interval | str | None = None,
        *,
        market: Market | str = "spot",
        start: TimeLike | None = None,
        end: TimeLike | None = None,
        size_max: int | None = None,
        everything: bool = False,
        unit: Unit | None = None,
    ) -> Evicted:
        """See :meth:`Cache.evict`."""
        return await _elsewhere(
            lambda: self._cache.evict(
                symbol, interval, market=market, start=start, end=end, size_max=size_max, everything=everything, unit=unit
            )
        )

    def __repr__(self) -> str:
        return repr(self._cache).replace("Cache", "AsyncCache", 1)


async def _elsewhere(work: Callable[[], T]) -> T:
    """Does what blocks a thread in another than the loop's."""
    import asyncio

    return await asyncio.to_thread(work)


def _read(told: str) -> Any:
    import json

    return json.loads(told)


def _default() -> Cache:
    from .ambient import default_client

    return default_client().cache


def path() -> Path:
    """Where the cache is."""
    return _default().path


@told_as(Cache.ls)
def ls() -> list[CachedSeries]:
    """See :meth:`Cache.ls`."""
    return _default().ls()


@told_as(Cache.stats)
def stats() -> CacheStats:
    """See :meth:`Cache.stats`."""
    return _default().stats()


@told_as(Cache.verify)
def verify() -> Verified:
    """See :meth:`Cache.verify`."""
    return _default().verify()


@told_as(Cache.evict)
def evict(
    symbol: str | None = None,
    interval: Interval | str | None = None,
    *,
    market: Market | str = "spot",
    start: TimeLike | None = None,
    end: TimeLike | None = None,
    size_max: int | None = None,
    everything: bool = False,
    unit: Unit | None = None,
) -> Evicted:
    """See :meth:`Cache.evict`."""
    return _default().evict(
        symbol, interval, market=market, start=start, end=end, size_max=size_max, everything=everything, unit=unit
    )

