"""Funding rates: what longs paid shorts when a perpetual future was settled, and their story."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, overload

from .answer import Answer
from .arguments import whole_of, word_of
from .errors import BadRequestError
from .vocabulary import datetime_of

if TYPE_CHECKING:
    from datetime import datetime

    import matplotlib.axes
    import pandas

    from .chart import Axes, Picture

COLUMNS = ("funding_time", "funding_rate", "mark_price", "interval_hours")
"""Names of the columns, in order."""

_HOUR = 3_600_000_000


class FundingRate(NamedTuple):
    """One settlement."""

    funding_time: datetime
    """When, as the exchange tells it: some milliseconds after the hour."""
    funding_rate: float
    """What longs paid shorts, per unit of position; where it is negative, shorts paid longs."""
    mark_price: float | None
    """What the position was valued at, where that was published: by REST, of newer rates."""
    interval_hours: int | None
    """Hours between settlements, where that was published: by archives."""


class FundingRates(Answer[FundingRate]):
    """Funding rates of one perpetual future, in time order; with where each came from and what is missing.

    Tables are made as of :class:`Klines`: it speaks the Arrow PyCapsule protocol, without copies.

    Columns: ``funding_time`` is ``timestamp[us, UTC]``, some milliseconds after the hour; ``funding_rate`` ``float64``
    (a fraction: 0.0001 is 0.01 %), negative where shorts paid longs; ``mark_price`` ``float64`` and ``interval_hours``
    ``int64`` are null where whoever supplied the row does not publish them. :meth:`printed` has every digit.

    A rate belongs to the hour it was settled in, so ranges, segments and gaps count hours. Most hours are quiet: nothing
    was settled in them, and that is no gap. A gap is where a rate is overdue, or where nobody could be asked.

    Immutable, so any number of threads may use it.
    """

    __slots__ = ()

    _columns = COLUMNS
    _kinds = {"funding_time": "M8[us]"}

    def _suit_pandas(self, columns: dict[str, Any], index: pandas.DatetimeIndex) -> None:
        import pandas

        columns["interval_hours"] = pandas.Series(columns["interval_hours"], index=index, dtype="Int64")

    def _slot(self, position: int) -> int:
        time = super()._slot(position)
        return time - time % _HOUR

    def _row(self, position: int) -> FundingRate:
        time, rate, mark_price, interval_hours = self._values(position)
        return FundingRate(datetime_of(time), rate, mark_price, interval_hours)

    def printed(self, position: int, column: str = "funding_rate") -> str | None:
        """A rate or a mark price as the exchange printed it, every digit; ``None`` for a price that was not published."""
        row = whole_of(position, "position", 0)
        if row >= len(self):
            raise BadRequestError(f"position {position}: expected a row of {len(self)}")
        return self._native.printed(row, word_of(column, "column", "funding_rate", "mark_price"))

    @overload
    def plot(self, *, ax: None = None, title: str | None = None) -> Picture: ...
    @overload
    def plot(self, *, ax: Axes, title: str | None = None) -> Axes: ...
    def plot(self, *, ax: matplotlib.axes.Axes | None = None, title: str | None = None) -> matplotlib.axes.Axes:
        """Draws the rates as a line with matplotlib; gaps are shaded, those that could still be filled in red.

        Returns the axes; ``.figure.savefig("funding.png")`` makes a file of it.
        """
        from .chart import draw_rates

        return draw_rates(self, ax=ax, title=title)
