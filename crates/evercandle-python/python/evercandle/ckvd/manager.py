"""``CryptoKlineVisionData``: one call for klines or funding rates, wherever they are.

The rules that package documents, and that hold here:

- A range is half-open: klines that open from ``start_time`` to before ``end_time``, cold or warm. Times without a zone are
  UTC. With ``auto_reindex``, both are first moved down to where a kline opens (a window within one kline is that kline).
- The cache is asked first, then archives (``VISION``) and REST; what one lacks, another supplies. Which of the two goes
  first is decided by what takes fewer calls, unless ``fcp_priority`` is given: its order is kept. Days that ended
  less than ``VISION_DATA_DELAY_HOURS`` ago are asked for afresh; what is held of them serves only when nobody answers.
- Klines that have not closed are in the answer when the range reaches into them, and are never remembered as final.
- Archives are verified against their published checksums; those that do not match are not used.
- Nothing is invented: with ``auto_reindex`` a slot without a kline is a row of NaN, without it is no row. What could not be
  had for now is logged as a warning and is in ``frame.attrs["gaps"]``; if nothing could be had at all, that is an error.
- All of this holds for funding rates too (``ChartType.FUNDING_RATE``, of both markets of futures), which are kept apart by
  market, symbol and day: those settled from ``start_time`` to before ``end_time``, neither moved nor reindexed. The interval
  has to be one that the market has, and is of no consequence. A rate can be had once its hour is over.
"""

from __future__ import annotations

import logging
import math
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, overload

from ..arguments import flag_of
from ..errors import EvercandleError, UnknownSymbolError
from ..vocabulary import datetime_of
from . import engine, tables
from .absent import refuse_attribute
from .config import (
    ALL_SOURCES,
    FUNDING_RATE_DTYPES,
    OUTPUT_DTYPES,
    CKVDConfig,
    cache_dir_of,
    log_level_of,
    source_of,
)
from .engine import Found, Opening, Question
from .enums import ChartType, DataProvider, DataSource, Interval, MarketType, member_of
from .errors import (
    CacheDisabledError,
    DataNotAvailableError,
    DataRetrievalError,
    NotOfferedError,
    RateLimitError,
    SymbolNotFoundError,
)
from .grid import DAY, floor, following, micros_of, slots, told_micros
from .logs import level_in_force, logger, prepare
from .streaming import KlineStream, KlineUpdate, refuse_streaming
from .symbols import NATIVE_MARKETS, interval_of, symbol_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    import pandas
    import polars

    from ..answer import Answer
    from ..client import Client
    from ..klines import Gap

_HOUR = 3_600_000_000


class CryptoKlineVisionData:
    """Klines and funding rates of one market of one provider. Threads may share one; closing it is polite and nothing more.

    ``retry_count``: tries per call and source. ``cache_dir``: where the cache lives (in a folder ``evercandle`` inside);
    default: ``CKVD_CACHE_DIR``, else where Evercandle has it. ``use_cache=False`` or ``CKVD_ENABLE_CACHE=false``: what is
    held is not read. Raises ``ValueError`` for what makes no sense and its subclass :class:`NotOfferedError` for what
    cannot be had here.
    """

    VISION_DATA_DELAY_HOURS: ClassVar[int] = 48
    REST_CHUNK_SIZE: ClassVar[int] = 1000
    REST_MAX_CHUNKS: ClassVar[int] = 1000
    OUTPUT_DTYPES: ClassVar[dict[str, str]] = OUTPUT_DTYPES
    FUNDING_RATE_DTYPES: ClassVar[dict[str, str]] = FUNDING_RATE_DTYPES
    DEFAULT_MARKET_TYPE: ClassVar[MarketType] = MarketType.SPOT

    def __init__(
        self,
        provider: DataProvider = DataProvider.BINANCE,
        market_type: MarketType = MarketType.SPOT,
        chart_type: ChartType = ChartType.KLINES,
        use_cache: bool = True,
        cache_dir: Path | None = None,
        retry_count: int = 3,
        log_level: str = "WARNING",
        suppress_http_debug: bool = True,
        quiet_mode: bool = False,
    ) -> None:
        config = CKVDConfig(
            market_type, provider, chart_type, cache_dir, use_cache, retry_count, log_level, suppress_http_debug, quiet_mode
        )
        _check_offered(config.provider, config.market_type, config.chart_type)
        self.provider = config.provider
        self.market_type = config.market_type
        self.chart_type = config.chart_type
        self.use_cache = config.use_cache
        self.cache_dir = cache_dir_of(config.cache_dir)
        self.retry_count = config.retry_count
        self.log_level = config.log_level
        self.suppress_http_debug = config.suppress_http_debug
        self.quiet_mode = config.quiet_mode
        self._timeout: float | None = None
        self._order: tuple[DataSource, ...] = ALL_SOURCES
        self._has_order = False
        prepare()

    @classmethod
    def create(
        cls, provider: DataProvider | None = None, market_type: MarketType | None = None, **kwargs: Any
    ) -> CryptoKlineVisionData:
        """A manager with the settings of :class:`CKVDConfig`, all of which hold; by default five tries per call."""
        if provider is None:
            raise ValueError("Data provider must be specified, such as DataProvider.BINANCE")
        market = cls.DEFAULT_MARKET_TYPE if market_type is None else market_type
        config = CKVDConfig.create(provider, market, **kwargs)
        manager = cls(
            provider=config.provider,
            market_type=config.market_type,
            chart_type=config.chart_type,
            use_cache=config.use_cache,
            cache_dir=config.cache_dir,
            retry_count=config.retry_count,
            log_level=config.log_level,
            suppress_http_debug=config.suppress_http_debug,
            quiet_mode=config.quiet_mode,
        )
        # Unless it is asked for, waiting is as short as Evercandle has it, which has somewhere else to turn.
        manager._timeout = config.http_timeout if "http_timeout" in kwargs else None
        manager._has_order = "fcp_priority" in kwargs
        manager._order = tuple(
            source for source in config.fcp_priority if config.vision_enabled or source is not DataSource.VISION
        )
        return manager

    @classmethod
    def calculate_time_range(
        cls,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        days: int = 3,
        interval: Interval = Interval.MINUTE_1,
    ) -> tuple[datetime, datetime]:
        """The range, aligned downwards to the interval: from ``start_time`` to ``end_time``; where one is missing, ``days``
        from the other; where both are, the last ``days``."""
        from .fetch import calculate_date_range

        return calculate_date_range(start_time, end_time, days, interval)

    @overload
    def get_data(
        self,
        symbol: str,
        start_time: datetime,
        end_time: datetime,
        interval: Interval = ...,
        chart_type: ChartType | None = ...,
        include_source_info: bool = ...,
        enforce_source: DataSource | str = ...,
        auto_reindex: bool = ...,
        return_polars: Literal[False] = ...,
    ) -> pandas.DataFrame: ...
    @overload
    def get_data(
        self,
        symbol: str,
        start_time: datetime,
        end_time: datetime,
        interval: Interval = ...,
        chart_type: ChartType | None = ...,
        include_source_info: bool = ...,
        enforce_source: DataSource | str = ...,
        auto_reindex: bool = ...,
        *,
        return_polars: Literal[True],
    ) -> polars.DataFrame: ...
    @overload
    def get_data(
        self,
        symbol: str,
        start_time: datetime,
        end_time: datetime,
        interval: Interval = ...,
        chart_type: ChartType | None = ...,
        include_source_info: bool = ...,
        enforce_source: DataSource | str = ...,
        auto_reindex: bool = ...,
        return_polars: bool = ...,
    ) -> pandas.DataFrame | polars.DataFrame: ...
    def get_data(
        self,
        symbol: str,
        start_time: datetime,
        end_time: datetime,
        interval: Interval = Interval.MINUTE_1,
        chart_type: ChartType | None = None,
        include_source_info: bool = True,
        enforce_source: DataSource | str = DataSource.AUTO,
        auto_reindex: bool = True,
        return_polars: bool = False,
    ) -> pandas.DataFrame | polars.DataFrame:
        """Klines that open, or funding rates settled, from ``start_time`` to before ``end_time``; see the module for the
        rules, and ``OUTPUT_DTYPES`` and ``FUNDING_RATE_DTYPES`` for the columns.

        Times also as dates, ISO 8601 strings and what pandas and NumPy have; ``interval`` and ``enforce_source`` also by
        their values and names (``"1h"``, ``"REST"``). ``CACHE`` is offline: nothing is sent. ``include_source_info``: the
        column ``_data_source``, with ``CACHE``, ``VISION`` or ``REST``.

        Raises ``ValueError`` for a question that makes no sense (an empty range, one that has not begun, a symbol that is
        none: :class:`SymbolNotFoundError`), :class:`UnsupportedIntervalError`, :class:`DataNotAvailableError` when the range
        begins before the symbol was listed, :class:`RateLimitError` with ``retry_after`` when every source wants to be left
        alone, and :class:`DataRetrievalError`, a ``RuntimeError``, when nothing could be had otherwise.
        """
        include_source_info = flag_of(include_source_info, "include_source_info")
        auto_reindex = flag_of(auto_reindex, "auto_reindex")
        return_polars = flag_of(return_polars, "return_polars")
        chart = self.chart_type if chart_type is None else member_of(chart_type, ChartType, "chart_type")
        _check_offered(self.provider, self.market_type, chart)
        name = symbol_of(symbol, self.market_type)
        market = NATIVE_MARKETS[self.market_type]
        start, end = told_micros(start_time, "start_time"), told_micros(end_time, "end_time")
        if start >= end:
            raise ValueError(f"start_time {start_time} is not before end_time {end_time}: expected start < end")
        source = source_of(enforce_source, "enforce_source")
        order = self._order_for(source)
        length = interval_of(interval, self.market_type)
        client = engine.client_of(Opening(self.use_cache, self.cache_dir, self.retry_count, self._timeout))
        now = micros_of(client.now())
        if start > now:
            raise ValueError(f"start_time {start_time} has not come yet: expected a range that begins in the past")
        if chart.name == "FUNDING_RATE":
            from . import funding

            question = funding.question_of(name, market, start, end)
            found = self._find(client, question, source, order, now)
            self._check_found(client, question, found, order)
            if return_polars:
                return funding.to_polars(found.parts, start, end, include_source_info)
            frame = funding.to_pandas(found.parts, start, end, include_source_info)
            _annotate(frame, found)
            return frame
        question = Question(name, market, length, start, end)
        if auto_reindex:
            question = _aligned(question)
        found = self._find(client, question, source, order, now)
        phase = _phase(found, length)
        if auto_reindex and length is Interval.DAY_3:
            question = _aligned(Question(name, market, length, start, end), phase)
            first, last = datetime_of(question.start), datetime_of(question.end)
            parts = [part.between(first, last) for part in found.parts]
            gaps = [gap for gap in found.gaps if first < gap.end and gap.start < last]
            found = found._replace(parts=parts, gaps=gaps)
        self._check_found(client, question, found, order)
        if auto_reindex and phase is None:
            raise _failure(question, found, order) from found.failure
        grid = slots(question.start, question.end, length) if auto_reindex else None
        if return_polars:
            return tables.to_polars(found.parts, grid, include_source_info)
        frame = tables.to_pandas(found.parts, grid, include_source_info)
        _annotate(frame, found)
        return frame

    def reconfigure_logging(
        self, log_level: str | None = None, suppress_http_debug: bool | None = None, quiet_mode: bool | None = None
    ) -> None:
        """Changes what this manager logs, to the logger ``evercandle.ckvd``; ``quiet_mode``: errors alone."""
        if log_level is not None:
            self.log_level = log_level_of(log_level)
        if suppress_http_debug is not None:
            self.suppress_http_debug = suppress_http_debug
        if quiet_mode is not None:
            self.quiet_mode = quiet_mode

    def create_stream(
        self,
        *,
        confirmed_only: bool = True,
        queue_maxsize: int = 1000,
        max_reconnect_attempts: int = 5,
        reconciliation_enabled: bool = False,
    ) -> KlineStream:
        """Not offered: raises :class:`NotOfferedError`, which says what to do instead."""
        refuse_streaming("create_stream()")

    def stream_data_sync(
        self,
        symbol: str,
        interval: str,
        *,
        confirmed_only: bool = True,
        queue_maxsize: int = 1000,
        reconciliation_enabled: bool = False,
    ) -> Iterator[KlineUpdate]:
        """Not offered: raises :class:`NotOfferedError`, which says what to do instead."""
        refuse_streaming("stream_data_sync()")

    def close(self) -> None:
        """Nothing is held by a manager alone; it can be used again."""

    def __enter__(self) -> CryptoKlineVisionData:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            refuse_attribute(type(self).__name__, name)

    def __repr__(self) -> str:
        return f"<CryptoKlineVisionData {self.provider.name} {self.market_type.name}>"

    # --- who is asked, and what came of it ----------------------------------------------------------------------------

    def _order_for(self, source: DataSource) -> tuple[DataSource, ...]:
        if source is DataSource.STREAMING:
            refuse_streaming("enforce_source=STREAMING")
        if source is DataSource.AUTO:
            order = tuple(one for one in self._order if self.use_cache or one is not DataSource.CACHE)
        elif source is DataSource.CACHE and not self.use_cache:
            raise CacheDisabledError("enforce_source=CACHE while the cache is switched off: expected use_cache=True")
        else:
            order = (source,)
        if not order:
            raise ValueError("no source may be asked: expected at least one of CACHE, VISION and REST")
        return order

    def _find(
        self, client: Client, question: Question, source: DataSource, order: tuple[DataSource, ...], now: int
    ) -> Found:
        try:
            return self._find_by_age(client, question, source, order, now)
        except UnknownSymbolError as error:
            raise SymbolNotFoundError(-1121, str(error), details=error.details) from error

    def _find_by_age(
        self, client: Client, question: Question, source: DataSource, order: tuple[DataSource, ...], now: int
    ) -> Found:
        """Asks; for days that are young, the cache last."""
        young = floor(now - self.VISION_DATA_DELAY_HOURS * _HOUR, Interval.DAY_1)
        afresh = [one for one in order if one is not DataSource.CACHE]
        cached = source is DataSource.AUTO and len(afresh) < len(order) and bool(afresh)
        tiers = engine.tiers_of(order, self._has_order)
        if not cached or question.end <= young or self.VISION_DATA_DELAY_HOURS <= 0:
            return engine.ask(client, question, tiers)
        late = engine.tiers_of([*afresh, DataSource.CACHE], self._has_order)
        if question.start >= young:
            return engine.ask(client, question, late)
        old = engine.ask(client, question._replace(end=young), tiers)
        new = engine.ask(client, question._replace(start=young), late)
        return Found([*old.parts, *new.parts], [*old.gaps, *new.gaps], new.failure or old.failure)

    def _check_found(
        self, client: Client, question: Question, found: Found, order: tuple[DataSource, ...]
    ) -> None:
        """Raises what has to be an error, and warns of what is not."""
        open_gaps = [gap for gap in found.gaps if not gap.final]
        if found.gaps and found.gaps[0].reason == "before_listing":
            listed = micros_of(found.gaps[0].end)
            if not found.rows:
                if order == (DataSource.CACHE,):
                    # It is only known that there was nothing yet, not when there was.
                    raise _failure(question, found, order)
                listed = _listed(client, question, listed)
            second = following(question.start, question.interval)
            if question.start < floor(listed, Interval.DAY_1) and micros_of(found.gaps[0].start) <= second:
                raise DataNotAvailableError(
                    question.symbol, self.market_type, datetime_of(question.start), datetime_of(listed)
                )
        if not found.parts or (open_gaps and not found.rows):
            raise _failure(question, found, order) from found.failure
        for part in found.parts:
            self._log(logging.DEBUG, "%s", _decision(question, part))
        if open_gaps:
            slots_missing = sum(gap.slots for gap in open_gaps)
            self._log(
                logging.WARNING,
                "%s %s: %d %s could not be had for now, first at %s: %s",
                question.symbol,
                question.label,
                slots_missing,
                "hours" if question.wants_rates else "klines",
                open_gaps[0].start.isoformat(),
                _said(open_gaps[:1], order),
            )

    def _log(self, level: int, message: str, *facts: object) -> None:
        if level_in_force(self.log_level, self.quiet_mode) <= level:
            logger.log(level, message, *facts)


def _check_offered(provider: DataProvider, market_type: MarketType, chart_type: ChartType) -> None:
    if provider is not DataProvider.BINANCE:
        raise NotOfferedError(f"provider {provider.name}", "expected one of ['BINANCE']; use DataProvider.BINANCE")
    if market_type not in NATIVE_MARKETS:
        known = ", ".join(one.name for one in NATIVE_MARKETS)
        raise NotOfferedError(f"market type {market_type.name}", f"expected one of {known}")
    if not chart_type.is_supported_by_provider(provider):
        raise NotOfferedError(f"chart type {chart_type.name}", "it is OKX's; use ChartType.KLINES")
    if not chart_type.is_supported_by_market(market_type):
        known = ", ".join(one.name for one in chart_type.supported_markets)
        raise ValueError(f"chart type {chart_type.name} in {market_type.name}: expected one of {known}")


def _aligned(question: Question, phase: int | None = None) -> Question:
    """Both ends moved down to where a kline opens; a window within one kline is that kline."""
    length = question.interval
    if length is Interval.DAY_3 and phase is None:
        # Where those open is known once there are some: until then, wide enough for any phase.
        start = max(0, floor(question.start, Interval.DAY_1) - 2 * DAY)
        return question._replace(start=start, end=floor(question.end, Interval.DAY_1) + 3 * DAY)
    start = floor(question.start, length, phase or 0)
    end = floor(question.end, length, phase or 0)
    return question._replace(start=start, end=max(end, following(start, length)))


def _phase(found: Found, length: Interval) -> int | None:
    """Where the klines count from; nobody knows of three-day klines of which there is none."""
    if length is not Interval.DAY_3:
        return 0
    return next((micros_of(part[0].open_time) for part in found.parts if len(part)), None)


def _listed(client: Client, question: Question, after: int) -> int:
    """When the first kline opened, to the day: its month first, then its day. Rates begin with the first settlement after
    that, to the hour."""
    now = micros_of(client.now())
    for length in (Interval.MONTH_1, Interval.DAY_1):
        end = now if length is Interval.MONTH_1 else following(floor(after, Interval.MONTH_1), Interval.MONTH_1)
        wanted = Question(question.symbol, question.market, length, after, max(end, after + DAY))
        rows = [part for part in engine.ask(client, wanted, ["all"]).parts if len(part)]
        if not rows:
            break
        after = micros_of(rows[0][0].open_time)
    if question.wants_rates:
        settled = engine.ask(client, question._replace(start=after, end=following(after, Interval.MONTH_1)), ["all"])
        first = next((part[0].funding_time for part in settled.parts if len(part)), None)
        return after if first is None else floor(micros_of(first), Interval.HOUR_1)
    return after


def _is_limit(told: str) -> bool:
    return "HTTP 429" in told or "HTTP 418" in told


def _was_limited(gaps: list[Gap]) -> bool:
    """Whether every source that was asked wants to be left alone."""
    told = [reason.what for gap in gaps for reason in gap.tried if reason.provider != "cache"]
    return bool(told) and all(_is_limit(what) for what in told)


def _decision(question: Question, part: Answer[Any]) -> str:
    origins = ", ".join(f"{rows} rows from {label}" for label, rows in tables.origins_of(part))
    return f"{question.symbol} {question.label} from {part.start} to {part.end}: {origins or 'no rows'}"


def _said(gaps: list[Gap], order: tuple[DataSource, ...]) -> str:
    """What each source said of the gaps."""
    said = dict.fromkeys(f"{one.provider}: {one.what}" for gap in gaps for one in gap.tried)
    names = ", ".join(source.name for source in order)
    return "; ".join(said) or f"none of the sources that may be asked has them: {names}"


def _failure(question: Question, found: Found, order: tuple[DataSource, ...]) -> Exception:
    error = found.failure
    open_gaps = [gap for gap in found.gaps if not gap.final]
    details: dict[str, Any] = dict(error.details) if isinstance(error, EvercandleError) else {}
    details.setdefault("symbol", question.symbol)
    details.setdefault("gaps", _told(open_gaps))
    after = None if error is None else error.retry_after
    if _was_limited(open_gaps):
        seconds = None if after is None else math.ceil(after)
        return RateLimitError(seconds, f"every source wants to be left alone: {error}", details=details)
    said = _said(open_gaps, order) if open_gaps or error is None else str(error)
    return DataRetrievalError(f"All data sources failed. {said}", details=details)


def _told(gaps: list[Gap]) -> list[dict[str, Any]]:
    return [
        {
            "start": gap.start.isoformat(),
            "end": gap.end.isoformat(),
            "slots": gap.slots,
            "reason": gap.reason,
            "final": gap.final,
            "tried": [{"provider": one.provider, "what": one.what} for one in gap.tried],
        }
        for gap in gaps
    ]


def _annotate(frame: pandas.DataFrame, found: Found) -> None:
    """What the frame lacks and why, where pandas has room for it."""
    if not found.gaps:
        return
    frame.attrs["gaps"] = _told(found.gaps)
    open_gaps = [gap for gap in found.gaps if not gap.final]
    if open_gaps:
        frame.attrs["_fcp_partial"] = True
        if any(_is_limit(reason.what) for gap in open_gaps for reason in gap.tried):
            frame.attrs["_rate_limited"] = True
