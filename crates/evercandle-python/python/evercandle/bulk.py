"""Filling the cache: many series, stretch by stretch."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from .answer import Gap
from .arguments import flag_of, interval_of, market_of, span_of, texts_of, whole_of
from .errors import CacheError, IncompleteError, UnavailableError
from .klines import Klines
from .progress import Bar
from .vocabulary import Interval, Market, TimeLike, Unit, datetime_of, micros_of

if TYPE_CHECKING:
    from ._native import Client as NativeClient, Pending
    from collections.abc import Iterable
    from datetime import datetime

# How the notice of an answer begins whose klines could not be stored.
_UNWRITTEN = "cache not written: "

# How often a person's Ctrl-C is looked for.
_SIGNALS_EVERY = 0.05


class SeriesReport(NamedTuple):
    """What came of one series."""

    symbol: str
    interval: str
    rows: int
    """Klines in the range asked for, all of them held now unless ``error`` is a :class:`CacheError`."""
    fetched: int
    """Those of them that were not held before."""
    gaps: list[Gap]
    """What is still missing and could be had later."""
    error: BaseException | None
    """Why nothing more could be said of it."""

    @property
    def is_complete(self) -> bool:
        """Whether everything that exists is held now."""
        return self.error is None and not self.gaps


class DownloadReport(NamedTuple):
    """What came of a download."""

    series: list[SeriesReport]
    seconds: float

    @property
    def rows(self) -> int:
        """Klines held now in the ranges asked for."""
        return sum(one.rows for one in self.series)

    @property
    def is_complete(self) -> bool:
        """Whether everything that exists is held now."""
        return all(one.is_complete for one in self.series)


class _Stretch(NamedTuple):
    symbol: str
    interval: Interval
    start: int
    end: int


class _Tally:
    def __init__(self, stretches: int) -> None:
        self.left = stretches
        self.rows = 0
        self.fetched = 0
        self.gaps: list[Gap] = []
        self.error: BaseException | None = None

    def add(self, klines: Klines) -> None:
        self.rows += len(klines)
        self.gaps += [gap for gap in klines.gaps if not gap.final]
        fetched = [segment for segment in klines.segments if segment.via == "upstream"]
        self.fetched += sum(len(klines.between(segment.start, segment.end)) for segment in fetched)
        unwritten = next((notice for notice in klines.notices if notice.startswith(_UNWRITTEN)), None)
        if fetched and unwritten is not None:
            self.error = CacheError(f"not everything that was fetched could be stored: {unwritten.removeprefix(_UNWRITTEN)}")


class Order(NamedTuple):
    """What is to be downloaded, made sure of."""

    symbols: list[str]
    intervals: list[Interval]
    start: int
    end: int
    market: str
    progress: bool
    jobs: int


def order(
    native: NativeClient,
    symbols: str | Iterable[str],
    intervals: Interval | str | Iterable[Interval | str],
    start: TimeLike,
    end: TimeLike | None,
    market: Market | str,
    progress: bool,
    jobs: int,
    unit: Unit | None,
) -> Order:
    """What ``Client.download`` was asked for. What has not begun yet cannot be had, so the range ends now at the latest."""
    now = native.now()
    first, last = span_of(start, datetime_of(now) if end is None else end, unit)
    texts = texts_of([intervals] if isinstance(intervals, str) else intervals, "intervals", "an interval or a list of them")
    return Order(
        texts_of([symbols] if isinstance(symbols, str) else symbols, "symbols", "a symbol or a list of them"),
        [interval_of(text, "intervals") for text in texts],
        first,
        min(last, max(now, first + 1)),
        market_of(market),
        flag_of(progress, "progress"),
        whole_of(jobs, "jobs", 1),
    )


def download(native: NativeClient, wanted: Order, stop: threading.Event | None = None) -> DownloadReport:
    """See ``Client.download``. ``stop``: set by another thread when nobody waits for the report any more."""
    import queue

    began = time.monotonic()
    market, jobs = wanted.market, wanted.jobs
    stretches = {
        (symbol, interval): _stretches(symbol, interval, wanted.start, wanted.end)
        for symbol in wanted.symbols
        for interval in wanted.intervals
    }
    tallies = {series: _Tally(len(parts)) for series, parts in stretches.items()}
    waiting = [part for parts in stretches.values() for part in parts]
    waiting.reverse()
    answered: queue.SimpleQueue[tuple[_Stretch, Any, BaseException | None]] = queue.SimpleQueue()
    pending: dict[_Stretch, Pending] = {}

    def ask(part: _Stretch) -> None:
        def done(result: Any, error: BaseException | None) -> None:
            answered.put((part, result, error))

        question: dict[str, object] = {
            "symbol": part.symbol,
            "interval": part.interval.value,
            "market": market,
            "start": part.start,
            "end": part.end,
            "best_effort": True,
            "cache_only": False,
            "sources": [],
            "forming": False,
            "bulk": True,
            "deadline": None,
        }
        pending[part] = native.start_get_data(done, question)

    try:
        with Bar(len(waiting), shown=wanted.progress) as bar:
            while (waiting or pending) and not (stop is not None and stop.is_set()):
                while waiting and len(pending) < jobs:
                    ask(waiting.pop())
                try:
                    part, result, error = answered.get(timeout=_SIGNALS_EVERY)
                except queue.Empty:
                    continue
                del pending[part]
                tally = tallies[(part.symbol, part.interval)]
                tally.left -= 1
                if isinstance(error, (IncompleteError, UnavailableError)) and isinstance(error.partial, Klines):
                    tally.add(error.partial)
                elif error is not None:
                    tally.error = error
                else:
                    tally.add(Klines(result))
                if tally.left == 0 and tally.error is None:
                    native.cache_release((part.symbol, part.interval.value, market))
                bar.advance(f"{part.symbol} {part.interval.value} {_month(part.start)}")
    finally:
        for question in pending.values():
            question.cancel()
    reports = [
        # A symbol may be unknown to those who were asked about one stretch, and known to the archives of another.
        SeriesReport(symbol, interval.value, tally.rows, tally.fetched, tally.gaps, tally.error)
        for (symbol, interval), tally in tallies.items()
    ]
    return DownloadReport(reports, time.monotonic() - began)


def _stretches(symbol: str, interval: Interval, start: int, end: int) -> list[_Stretch]:
    """Cut where archives begin and end, so that memory stays flat however long the range is."""
    cuts = [start]
    while cuts[-1] < end:
        cuts.append(min(_cut(interval, datetime_of(cuts[-1]), end), end))
    return [_Stretch(symbol, interval, first, last) for first, last in zip(cuts, cuts[1:])]


def _cut(interval: Interval, after: datetime, end: int) -> int:
    """Seconds are cut by days, minutes by months, hours by years, the rest not at all."""
    seconds = interval.nominal.total_seconds()
    day = after.replace(hour=0, minute=0, second=0, microsecond=0)
    if interval is Interval.S1:
        return micros_of(day) + 86_400_000_000
    if seconds < 900:
        month = day.replace(day=1)
        later = month.replace(year=month.year + 1, month=1) if month.month == 12 else month.replace(month=month.month + 1)
        return micros_of(later)
    if seconds < 86_400:
        return micros_of(day.replace(year=day.year + 1, month=1, day=1))
    return end


def _month(micros: int) -> str:
    return datetime_of(micros).strftime("%Y-%m")
