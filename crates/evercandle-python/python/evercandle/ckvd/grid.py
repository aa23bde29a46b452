"""When klines open, in microseconds since the epoch.

Intervals up to a day divide it. Weeks open on Mondays, months on their first day. Where ``3d`` klines open depends on the
symbol's listing, so only the symbol's own klines tell: they are the ``phase``.
"""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import Any

from ..vocabulary import EPOCH, MICROSECOND, datetime_of, micros_of as parsed
from .enums import Interval
from .errors import WrongKindError

DAY = 86_400_000_000
# Frames count nanoseconds, for which there are numbers until some day in that year.
_END = (datetime(2262, 1, 1, tzinfo=timezone.utc) - EPOCH) // MICROSECOND
# The first Monday since the epoch was its fifth day.
_MONDAY = 4 * DAY


def micros_of(moment: datetime) -> int:
    """Microseconds since the epoch; what has no zone is UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
    return (aware - EPOCH) // MICROSECOND


def told_micros(moment: Any, parameter: str) -> int:
    """The same of what a program was told: also of dates, ISO 8601 strings and what NumPy has. Raises ``ValueError`` for
    what is no moment; a number is none, as nobody said what it counts."""
    if not isinstance(moment, (date, str)) and type(moment).__name__ != "datetime64":
        raise WrongKindError(parameter, moment, "a datetime, such as datetime(2024, 1, 31, tzinfo=timezone.utc)")
    micros = parsed(moment, None, parameter)
    if micros >= _END:
        raise ValueError(f"{parameter} {moment}: expected a moment in the years 1970 to 2261")
    return micros


def step_of(interval: Interval) -> int:
    """Its length; a month counts as 30 days."""
    return interval.to_seconds() * 1_000_000


def floor(micros: int, interval: Interval, phase: int = 0) -> int:
    """When the kline opened that is open then; for one from before 1970, which nobody can be asked for, when the first
    opened since."""
    if interval is Interval.MONTH_1:
        return micros_of(datetime_of(micros).replace(day=1, hour=0, minute=0, second=0, microsecond=0))
    if interval is Interval.WEEK_1:
        phase = _MONDAY
    opened = micros - (micros - phase) % step_of(interval)
    return opened if opened >= 0 else opened + step_of(interval)


def following(micros: int, interval: Interval) -> int:
    """When the next kline opens after one that opened then."""
    if interval is not Interval.MONTH_1:
        return micros + step_of(interval)
    return floor(micros + 31 * DAY, interval)


def slots(start: int, end: int, interval: Interval) -> list[int] | range:
    """When klines open from ``start``, which is such a moment, to before ``end``."""
    if interval is not Interval.MONTH_1:
        return range(start, end, step_of(interval))
    opens: list[int] = []
    while start < end:
        opens.append(start)
        start = following(start, interval)
    return opens
