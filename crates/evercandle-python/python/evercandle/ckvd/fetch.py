"""One call from a range in words to a frame."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..arguments import MORE_THAN_0, number_of, whole_of
from ..vocabulary import datetime_of
from . import engine
from .config import RETRIES_MAX, source_of, taken
from .enums import ChartType, DataProvider, Interval, MarketType, member_of
from .grid import DAY, floor, following, micros_of, told_micros
from .manager import CryptoKlineVisionData
from .symbols import interval_of

if TYPE_CHECKING:
    import pandas
    import polars

# Longer than all markets; what is longer leaves the calendar.
_DAYS_MAX = 100_000


def _length_of(days: object) -> int:
    expected = f"a number, more than 0 and at most {_DAYS_MAX}"
    return int(taken(number_of, days, "days", expected, MORE_THAN_0, _DAYS_MAX) * DAY)


def calculate_date_range(
    start_time: datetime | str | None = None,
    end_time: datetime | str | None = None,
    days: float = 3,
    interval: Interval = Interval.MINUTE_1,
) -> tuple[datetime, datetime]:
    """The range, aligned downwards to the interval: from ``start_time`` to ``end_time``; where one is missing, ``days``
    from the other; where both are, the last ``days``. Raises ``ValueError`` for what is no moment and for an empty range."""
    interval = interval_of(interval, MarketType.SPOT)
    if start_time is not None and end_time is not None:
        start, end = told_micros(start_time, "start_time"), told_micros(end_time, "end_time")
    elif start_time is not None:
        start = told_micros(start_time, "start_time")
        end = start + _length_of(days)
    else:
        end = micros_of(engine.now()) if end_time is None else told_micros(end_time, "end_time")
        start = end - _length_of(days)
    if start >= end:
        raise ValueError(
            f"start_time {datetime_of(start)} is not before end_time {datetime_of(end)}: expected start < end"
        )
    first, last = floor(start, interval), floor(end, interval)
    return datetime_of(first), datetime_of(max(last, following(first, interval)))


def fetch_market_data(
    provider: DataProvider,
    market_type: MarketType,
    chart_type: ChartType,
    symbol: str,
    interval: Interval,
    start_time: datetime | str | None = None,
    end_time: datetime | str | None = None,
    days: int = 3,
    use_cache: bool = True,
    enforce_source: str = "AUTO",
    max_retries: int = 3,
    return_polars: bool = False,
) -> tuple[pandas.DataFrame | polars.DataFrame | None, float, int]:
    """The frame, the seconds it took, and how many klines or funding rates are in it; ``(None, seconds, 0)``
    where there is none.

    Slots without a kline are rows of the frame and not counted. Ranges of funding rates are aligned to minutes, whatever the
    interval. Raises as :meth:`CryptoKlineVisionData.get_data` does.
    """
    began = time.perf_counter()
    market_type = member_of(market_type, MarketType, "market_type")
    chart_type = member_of(chart_type, ChartType, "chart_type")
    length = interval_of(interval, market_type)
    step = Interval.MINUTE_1 if chart_type is ChartType.FUNDING_RATE else length
    start, end = calculate_date_range(start_time, end_time, days, step)
    source = source_of(enforce_source, "enforce_source")
    retries = taken(whole_of, max_retries, "max_retries", 0, RETRIES_MAX)
    with CryptoKlineVisionData.create(
        provider, market_type, chart_type=chart_type, use_cache=use_cache, retry_count=retries
    ) as manager:
        frame: Any = manager.get_data(
            symbol, start, end, length, enforce_source=source, return_polars=return_polars
        )
    if return_polars:
        count = frame.height - frame["open"].null_count() if "open" in frame.columns else frame.height
    else:
        count = int(frame["open"].notna().sum()) if "open" in frame.columns else len(frame)
    return (frame if len(frame) else None), time.perf_counter() - began, count
