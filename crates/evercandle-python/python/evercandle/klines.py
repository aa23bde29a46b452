"""Klines: candles of one length, and their story."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, overload

from .answer import Answer, Attempt, Gap, Reason, Segment, utc_index
from .arguments import text_of, whole_of
from .errors import BadRequestError
from .vocabulary import datetime_of

if TYPE_CHECKING:
    from datetime import datetime

    import matplotlib.axes
    import pandas

    from .chart import Axes, Picture

__all__ = ["COLUMNS", "Attempt", "Gap", "Kline", "Klines", "Reason", "Segment"]

COLUMNS = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
)
"""Names of the columns, in order."""


class Kline(NamedTuple):
    """One row."""

    open_time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    close_time: datetime
    quote_volume: float
    # As the column is called; what tuples count with is of no use here.
    count: int  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleMethodOverride]
    taker_buy_volume: float
    taker_buy_quote_volume: float


class Klines(Answer[Kline]):
    """Klines of one series, in time order, each open time at most once; with where each came from and what is missing.

    Speaks the Arrow PyCapsule protocol, so that ``polars.DataFrame(klines)``, ``pyarrow.table(klines)``, DuckDB and
    others take the rows as they are: parts of the cache are mapped, and tables are views of those maps. They stay valid
    for as long as anything in Python holds them, whatever happens to the cache meanwhile, and in forked processes too.

    Columns: ``open_time`` and ``close_time`` are ``timestamp[us, UTC]``, ``count`` (of trades) is ``int64``, the rest
    ``float64`` (the doubles nearest to what the exchange printed); nothing is null. On COIN-M, ``volume`` counts
    contracts and ``quote_volume`` is in the base asset.

    Immutable, so any number of threads may use it.
    """

    __slots__ = ()

    _columns = COLUMNS
    _kinds = {"open_time": "M8[us]", "close_time": "M8[us]", "count": "i8"}

    @property
    def interval(self) -> str:
        """In the exchange's spelling."""
        return self.label

    @property
    def units(self) -> tuple[str, str]:
        """What ``volume`` and ``quote_volume`` count: ``base``, ``quote`` or ``contracts``."""
        series = self._told()["series"]
        return (series["volume_unit"], series["quote_volume_unit"])

    def _suit_pandas(self, columns: dict[str, Any], index: pandas.DatetimeIndex) -> None:
        import pandas

        columns["close_time"] = pandas.Series(utc_index(columns["close_time"]), index=index, copy=False)

    def _row(self, position: int) -> Kline:
        values = self._values(position)
        values[0], values[6] = datetime_of(values[0]), datetime_of(values[6])
        return Kline(*values)

    def printed(self, position: int, column: str) -> str:
        """A price or a volume as the exchange printed it, every digit: ``klines.printed(0, "close")``."""
        text = self._native.printed(whole_of(position, "position", 0), text_of(column, "column", "a column's name"))
        if text is None:
            raise BadRequestError(
                f"position {position}, column {column!r}: expected a row of {len(self)} and a decimal column"
            )
        return text

    @overload
    def plot(
        self, *, ax: None = None, candles: int = 240, volume: bool = True, title: str | None = None
    ) -> Picture: ...
    @overload
    def plot(self, *, ax: Axes, candles: int = 240, volume: bool = True, title: str | None = None) -> Axes: ...
    def plot(
        self,
        *,
        ax: matplotlib.axes.Axes | None = None,
        candles: int = 240,
        volume: bool = True,
        title: str | None = None,
    ) -> matplotlib.axes.Axes:
        """Draws candlesticks with matplotlib; gaps are shaded, those that could still be filled in red.

        At most ``candles`` are drawn: beyond, neighbours are joined into one (first open, highest high, lowest low, last
        close), which the title says. Returns the axes; ``.figure.savefig("btc.png")`` makes a file of it.
        """
        from .chart import draw

        return draw(self, ax=ax, candles=candles, volume=volume, title=title)
