"""Filling the cache: many series, stretch by stretch."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from .answer import Gap, reasons_of
from .arguments import flag_of, interval_of, market_of, span_of, texts_of, whole_of
from .awaiting import answer
from .errors import CacheError, ClosedError, IncompleteError, UnavailableError
from .klines import Klines
from .progress import Bar
from .vocabulary import Interval, Market, TimeLike, Unit, datetime_of, micros_of

if TYPE_CHECKING:
    from ._native import Client as NativeClient, Pending
    from collections.abc import Callable, Iterable
    from datetime import datetime

# How the notice of an answer begins whose klines could not be stored.
_UNWRITTEN = "cache not written: "

# How often a person's Ctrl-C is looked for, and what the engine waits for.
_LOOK_EVERY = 0.05


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


class _Filling:
    """A download under way: what is still to be asked, and what came of what was."""

    def __init__(self, native: NativeClient, wanted: Order) -> None:
        self._native = native
        self._market = wanted.market
        self._began = time.monotonic()
        stretches = {
            (symbol, interval): _stretches(symbol, interval, wanted.start, wanted.end)
            for symbol in wanted.symbols
            for interval in wanted.intervals
        }
        self._tallies = {series: _Tally(len(parts)) for series, parts in stretches.items()}
        # The first to be asked is the last.
        self.waiting = [part for parts in stretches.values() for part in parts][::-1]
        self.bar = Bar(len(self.waiting), shown=wanted.progress)

    def ask(self, part: _Stretch, done: Callable[[Any, BaseException | None], None]) -> Pending:
        """Asks for a stretch; ``done`` is called with the answer or the error, by another thread."""
        question: dict[str, object] = {
            "symbol": part.symbol,
            "interval": part.interval.value,
            "market": self._market,
            "start": part.start,
            "end": part.end,
            "best_effort": True,
            "cache_only": False,
            "sources": [],
            "forming": False,
            "bulk": True,
            "deadline": None,
        }
        return self._native.start_get_data(done, question)

    def settle(self, part: _Stretch, result: Any, error: BaseException | None) -> None:
        """Takes what came of a stretch. That the client was closed is raised: it is no matter of a series."""
        if isinstance(error, ClosedError):
            raise error
        tally = self._tallies[(part.symbol, part.interval)]
        tally.left -= 1
        if isinstance(error, (IncompleteError, UnavailableError)) and isinstance(error.partial, Klines):
            tally.add(error.partial)
        elif error is not None:
            tally.error = error
        else:
            tally.add(Klines(result))
        if tally.left == 0 and tally.error is None:
            self._native.cache_release((part.symbol, part.interval.value, self._market))
        self.bar.advance(f"{part.symbol} {part.interval.value} {_month(part.start)}")

    def look(self) -> None:
        """Shows what the engine waits for, if it does."""
        told = self._native.waiting()
        self.bar.wait("" if told is None else _waits(told))

    def report(self) -> DownloadReport:
        """What came of all of it."""
        reports = [
            # A symbol may be unknown to those who were asked about one stretch, and known to the archives of another.
            SeriesReport(symbol, interval.value, tally.rows, tally.fetched, tally.gaps, tally.error)
            for (symbol, interval), tally in self._tallies.items()
        ]
        return DownloadReport(reports, time.monotonic() - self._began)


def download(native: NativeClient, wanted: Order) -> DownloadReport:
    """See ``Client.download``."""
    import queue

    filling = _Filling(native, wanted)
    answered: queue.SimpleQueue[tuple[_Stretch, Any, BaseException | None]] = queue.SimpleQueue()
    pending: dict[_Stretch, Pending] = {}

    def ask(part: _Stretch) -> None:
        pending[part] = filling.ask(part, lambda result, error: answered.put((part, result, error)))

    try:
        with filling.bar:
            while filling.waiting or pending:
                while filling.waiting and len(pending) < wanted.jobs:
                    ask(filling.waiting.pop())
                try:
                    part, result, error = answered.get(timeout=_LOOK_EVERY)
                except queue.Empty:
                    filling.look()
                    continue
                del pending[part]
                filling.settle(part, result, error)
    finally:
        for question in pending.values():
            question.cancel()
    return filling.report()


async def download_awaited(native: NativeClient, wanted: Order) -> DownloadReport:
    """See ``AsyncClient.download``. All of it is the loop's: whoever ends that, or the task, ends it."""
    import asyncio

    filling = _Filling(native, wanted)

    async def work() -> None:
        while filling.waiting:
            part = filling.waiting.pop()
            result, failure = None, None
            try:
                result = await answer(lambda done: filling.ask(part, done))
            except Exception as error:
                failure = error
            filling.settle(part, result, failure)

    async def look() -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            filling.look()

    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(work()) for _ in range(min(wanted.jobs, len(filling.waiting)))]
    looking = loop.create_task(look())
    try:
        with filling.bar:
            await asyncio.gather(*tasks)
    finally:
        # One that is closed has dropped them.
        if not loop.is_closed():
            for task in (looking, *tasks):
                task.cancel()
    return filling.report()


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


def _waits(told: str) -> str:
    import json

    waiting: dict[str, Any] = json.loads(told)
    until, at_most = datetime_of(waiting["until"]), datetime_of(waiting["gives_up_at"])
    spelled = "%H:%M:%S" if until.date() == at_most.date() else "%Y-%m-%d %H:%M"
    resting = ", ".join(reason.provider for reason in reasons_of(waiting["reasons"]))
    # A terminal cuts the end off.
    return f"waiting until {until:{spelled}}, at most {at_most:{spelled}} UTC, for {resting}"


def _month(micros: int) -> str:
    return datetime_of(micros).strftime("%Y-%m")
