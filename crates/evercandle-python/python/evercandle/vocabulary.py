"""Intervals, markets and times, in the ways people write them."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, Union, cast

from ._native import parse_instant
from .errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    import numpy

UTC = timezone.utc

FUNDING_RATES = "fundingRate"
"""The exchange's word for funding rates, where klines have an interval."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# From 1970 to before the year 9000: what the exchange has is far within, and calendars end not far beyond.
_FIRST, _END = 0, 221_845_392_000_000_000
# Of what was given, so much is shown.
_SHOWN = 60
# What is no number, and has the methods of one: Python's own, and NumPy's, which are known by name, as it is not needed.
NO_NUMBERS = ("bool", "bool_", "ndarray", "timedelta64", "datetime64", "Series")
_UNITS: dict[str, tuple[int, int]] = {"s": (1_000_000, 1), "ms": (1_000, 1), "us": (1, 1), "ns": (1, 1_000)}

Unit = Literal["s", "ms", "us", "ns"]
"""The unit of an epoch number."""

if TYPE_CHECKING:
    TimeLike: TypeAlias = Union[datetime, date, str, SupportsIndex, "numpy.datetime64"]
else:
    # Without NumPy, which type hints at run time would have to import.
    TimeLike = Union[datetime, date, str, SupportsIndex]
"""A moment from 1970 to before the year 9000: an aware ``datetime`` (a ``pandas.Timestamp`` is one, and so is what
Polars gives of a column), a naive one (taken as UTC), a ``date`` (its midnight, UTC), ``numpy.datetime64`` (UTC), an ISO
8601 string (UTC unless it has an offset), or a whole number of ``unit`` since the epoch, NumPy's too. What is finer than
a microsecond is rounded down."""


class Interval(str, Enum):
    """Length of a kline. Strings do as well: ``Interval.M1 == "1m"``. Case matters: ``1m`` is a minute, ``1M`` a month."""

    S1 = "1s"
    M1 = "1m"
    M3 = "3m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H2 = "2h"
    H4 = "4h"
    H6 = "6h"
    H8 = "8h"
    H12 = "12h"
    D1 = "1d"
    D3 = "3d"
    W1 = "1w"
    MO1 = "1M"

    def __str__(self) -> str:
        return self.value

    @property
    def nominal(self) -> timedelta:
        """Its length; a month counts as 30 days."""
        if self is Interval.MO1:
            return timedelta(days=30)
        unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}[self.value[-1]]
        return timedelta(**{unit: int(self.value[:-1])})


class Market(str, Enum):
    """A part of the exchange. Strings do as well: ``Market.SPOT == "spot"``."""

    SPOT = "spot"
    """Spot."""
    UM = "um"
    """USD-M futures: margined and settled in a stablecoin."""
    CM = "cm"
    """COIN-M futures: margined and settled in the base asset. Their ``volume`` counts contracts."""

    def __str__(self) -> str:
        return self.value


def micros_of(moment: object, unit: Unit | None = None, name: str = "time") -> int:
    """Microseconds since the epoch, rounded down.

    Raises :class:`BadRequestError` for what is no moment, for one that is out of all bounds, and for a bare number
    without ``unit``: guessing its unit from its size would be right until it is not.
    """
    if unit is not None and (not isinstance(unit, str) or unit not in _UNITS):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise BadRequestError(f'unit is {shown(unit)}: expected "s", "ms", "us" or "ns"')
    micros = _micros_of(moment, unit, name)
    if not _FIRST <= micros < _END:
        told, doubt = shown(moment, str), ""
        if unit is not None and whole_or_none(moment) is not None:
            told, doubt = f"{told} {unit}", ": is the unit right?"
        raise BadRequestError(f"{name} is {told}: expected a moment from 1970 to before the year 9000{doubt}")
    return micros


def _micros_of(moment: object, unit: Unit | None, name: str) -> int:
    if isinstance(moment, datetime):
        if moment != moment:  # pandas.NaT is a datetime that is no moment
            raise BadRequestError(f"{name} is NaT: expected a moment")
        aware = moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment
        return (aware - EPOCH) // MICROSECOND
    if isinstance(moment, date):
        return (datetime(moment.year, moment.month, moment.day, tzinfo=UTC) - EPOCH) // MICROSECOND
    if isinstance(moment, str):
        micros = parse_instant(moment) if is_unicode(moment) else None
        if micros is None:
            raise BadRequestError(
                f"{name} is {moment!r}: expected an ISO 8601 date or time, such as 2024-01-31 or 2024-01-31T12:00:00Z"
            )
        return micros
    if type(moment).__name__ == "datetime64":
        return _micros_of_datetime64(moment, name)
    whole = whole_or_none(moment)
    if whole is None:
        raise BadRequestError(
            f"{name} is a {type(moment).__name__}: expected a datetime, a date, an ISO 8601 string or a whole number"
        )
    if unit is None:
        raise BadRequestError(f'{name} is the number {shown(moment, str)}: say what it counts, with unit="s", "ms", "us" or "ns"')
    times, per = _UNITS[unit]
    return whole * times // per


def _micros_of_datetime64(moment: Any, name: str) -> int:
    if moment != moment:
        raise BadRequestError(f"{name} is NaT: expected a moment")
    # In coarser units there are years for which there is no number of microseconds.
    years = int(moment.astype("datetime64[Y]").astype("int64"))
    if not 0 <= years < 9000 - 1970:
        return _END
    return int(moment.astype("datetime64[us]").astype("int64"))


def whole_or_none(given: object) -> int | None:
    """The whole number it is, NumPy's too."""
    if type(given).__name__ in NO_NUMBERS or not hasattr(given, "__index__"):
        return None
    try:
        return cast(SupportsIndex, given).__index__()
    except TypeError:
        return None


def shown(given: object, how: Callable[[object], str] = repr) -> str:
    """What was given, for an error; by its type what is long, or cannot be printed, as integers of thousands of digits."""
    try:
        told = how(given)
    except ValueError:
        told = ""
    return told if 0 < len(told) <= _SHOWN and "\n" not in told else f"a {type(given).__name__}"


def is_unicode(text: str) -> bool:
    """Whether it can be written; half a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def datetime_of(micros: int) -> datetime:
    """The aware UTC datetime of microseconds since the epoch."""
    return EPOCH + timedelta(microseconds=micros)


def datetime_or_none(micros: int | None) -> datetime | None:
    """The same, where there may be none."""
    return None if micros is None else datetime_of(micros)


def with_times(told: dict[str, Any], *names: str, **others: Any) -> dict[str, Any]:
    """What the engine tells, with moments for the microseconds under these names, and with ``others`` instead."""
    return {**told, **{name: datetime_or_none(told[name]) for name in names}, **others}
