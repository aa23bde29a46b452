"""An answer: rows, and their story."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, overload

from ._native import format_instant
from .errors import BadRequestError
from .vocabulary import TimeLike, Unit, datetime_of, micros_of, with_times

if TYPE_CHECKING:
    from ._native import Klines as NativeKlines
    from collections.abc import Iterator
    from datetime import datetime

    import matplotlib.axes
    import numpy
    import pandas
    import polars
    import pyarrow

    AnyArray = numpy.ndarray[tuple[int], numpy.dtype[Any]]

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

# What NumPy calls the types of those that are no doubles; all take eight bytes.
_KINDS = {"open_time": "M8[us]", "close_time": "M8[us]", "count": "i8"}


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


class Segment(NamedTuple):
    """A run of rows with one origin: they open from ``start`` to before ``end``."""

    start: datetime
    end: datetime
    provider: str
    """Who supplied them: ``binance-vision`` (archives), ``binance`` (REST), …"""
    via: str
    """``cache``: remembered; ``upstream``: fetched for this answer."""
    fetched_at: datetime
    """When the provider answered."""
    verification: str
    """``checksum`` (the archive's published SHA-256 matched), ``structural``, or ``unsettled`` (too recent to be final)."""
    sha256: str | None
    """The archive's SHA-256, where there is one."""


class Reason(NamedTuple):
    """What one provider said."""

    provider: str
    what: str


class Gap(NamedTuple):
    """Slots without a row, from ``start`` to before ``end``."""

    start: datetime
    end: datetime
    slots: int
    """How many."""
    reason: str
    """``before_listing``, ``not_yet_closed``, ``venue_halt``, ``absent_upstream`` or ``no_upstream_left``."""
    final: bool
    """Whether no later attempt could fill it."""
    tried: tuple[Reason, ...]
    """For ``no_upstream_left``: what each provider said."""


class Attempt(NamedTuple):
    """One question to one provider, or one provider passed over."""

    provider: str
    start: datetime | None
    end: datetime | None
    form: str
    """What was asked for: ``page``, ``day``, ``month``, ``listing``, ``time``, ``prices``, …"""
    number: int
    """Which try, from 1; 0 when nothing was sent."""
    at: datetime
    took: float
    """Seconds."""
    outcome: str
    """``rows``, ``answered``, or the kind of failure (``unreachable``, ``throttled``, ``absent``, …)."""
    rows: int | None
    why: str | None


def trail_of(told: list[dict[str, Any]]) -> list[Attempt]:
    """Attempts as the engine tells them."""
    return [Attempt(**with_times(one, "start", "end", "at")) for one in told]


def reasons_of(told: list[dict[str, str]]) -> tuple[Reason, ...]:
    """Reasons as the engine tells them."""
    return tuple(Reason(**one) for one in told)


class _WithSource:
    """The same rows with one column more."""

    __slots__ = ("_native",)

    def __init__(self, native: NativeKlines) -> None:
        self._native = native

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._native.arrow_c_stream(True)

    def __arrow_c_schema__(self) -> object:
        return self._native.arrow_c_schema(True)


class Klines:
    """Klines of one series, in time order, each open time at most once; with where each came from and what is missing.

    Speaks the Arrow PyCapsule protocol, so that ``polars.DataFrame(klines)``, ``pyarrow.table(klines)``, DuckDB and
    others take the rows as they are: parts of the cache are mapped, and tables are views of those maps. They stay valid
    for as long as anything in Python holds them, whatever happens to the cache meanwhile, and in forked processes too.

    Columns: ``open_time`` and ``close_time`` are ``timestamp[us, UTC]``, ``count`` (of trades) is ``int64``, the rest
    ``float64`` (the doubles nearest to what the exchange printed); nothing is null. On COIN-M, ``volume`` counts
    contracts and ``quote_volume`` is in the base asset.

    Immutable, so any number of threads may use it.
    """

    __slots__ = ("_native", "_story")

    def __init__(self, native: NativeKlines) -> None:
        self._native = native
        self._story: dict[str, Any] | None = None

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def exchange(self) -> str:
        """The organisation whose klines these are."""
        return self._native.series()[0]

    @property
    def market(self) -> str:
        """``spot``, ``um`` or ``cm``."""
        return self._native.series()[1]

    @property
    def symbol(self) -> str:
        """In the exchange's spelling."""
        return self._native.series()[2]

    @property
    def interval(self) -> str:
        """In the exchange's spelling."""
        return self._native.series()[3]

    @property
    def start(self) -> datetime:
        """The first slot that was asked for; UTC."""
        return datetime_of(self._native.range()[0])

    @property
    def end(self) -> datetime:
        """The end of the last slot that was asked for; UTC."""
        return datetime_of(self._native.range()[1])

    @property
    def is_complete(self) -> bool:
        """Whether everything that exists was delivered: no gap could be filled by a later attempt."""
        return self._native.is_complete()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return COLUMNS

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return (len(self), len(COLUMNS))

    # --- its story ----------------------------------------------------------------------------------------------------

    def _told(self) -> dict[str, Any]:
        told = self._story
        if told is None:
            import json

            told = self._story = json.loads(self._native.story())
        return told

    @property
    def units(self) -> tuple[str, str]:
        """What ``volume`` and ``quote_volume`` count: ``base``, ``quote`` or ``contracts``."""
        series = self._told()["series"]
        return (series["volume_unit"], series["quote_volume_unit"])

    @property
    def segments(self) -> list[Segment]:
        """Where the rows came from, in time order; every row is in exactly one."""
        return [Segment(**with_times(one, "start", "end", "fetched_at")) for one in self._told()["segments"]]

    @property
    def gaps(self) -> list[Gap]:
        """What is missing and why, in time order; every slot without a row is in exactly one."""
        return [
            Gap(**with_times(one, "start", "end", tried=reasons_of(one["tried"]))) for one in self._told()["gaps"]
        ]

    @property
    def trail(self) -> list[Attempt]:
        """Every upstream call and every upstream passed over, in order of time."""
        return trail_of(self._told()["trail"])

    @property
    def notices(self) -> list[str]:
        """What else should be known: a cache that could not be written, rows that contradict each other, …"""
        return list(self._told()["notices"])

    # --- its rows as tables -------------------------------------------------------------------------------------------

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The rows as an Arrow C stream; the schema is always ours, as the protocol allows."""
        return self._native.arrow_c_stream()

    def __arrow_c_schema__(self) -> object:
        """The columns as an Arrow C schema."""
        return self._native.arrow_c_schema()

    def _rows(self, source: bool) -> Any:
        return _WithSource(self._native) if source else self

    def to_polars(self, *, source: bool = False) -> polars.DataFrame:
        """A Polars frame, without copying; ``source`` adds a categorical column saying who supplied each row."""
        import polars

        return polars.DataFrame(self._rows(source))

    def to_arrow(self, *, source: bool = False) -> pyarrow.Table:
        """A PyArrow table, without copying; ``source`` adds a dictionary column saying who supplied each row."""
        import pyarrow

        return pyarrow.table(self._rows(source))

    def to_pandas(self, *, source: bool = False, writable: bool = True) -> pandas.DataFrame:
        """A pandas frame with a UTC ``DatetimeIndex`` named ``open_time``.

        pandas wants each column in one piece, and to write into it: by default the rows are copied, once. With
        ``writable=False``, rows that lie in one file of the cache are not, and the frame cannot be written to.
        ``source`` adds a categorical column saying who supplied each row.
        """
        import pandas

        columns: dict[str, Any] = dict(self._all_gathered(writable))
        index = pandas.DatetimeIndex(columns.pop("open_time"), tz="UTC", name="open_time", copy=False)
        close_time = pandas.DatetimeIndex(columns["close_time"], tz="UTC", copy=False)
        columns["close_time"] = pandas.Series(close_time, index=index, copy=False)
        if source:
            columns["source"] = pandas.Categorical(self._sources())
        return pandas.DataFrame(columns, index=index, copy=False)

    @overload
    def to_numpy(self, column: None = None) -> dict[str, AnyArray]: ...
    @overload
    def to_numpy(self, column: str) -> AnyArray: ...
    def to_numpy(self, column: str | None = None) -> dict[str, AnyArray] | AnyArray:
        """Arrays of shape ``(rows,)`` by column name, or the one that is named.

        Times are ``datetime64[us]`` in UTC, ``count`` is ``int64``, the rest ``float64``. Rows that lie in one file of
        the cache are not copied, and read-only.
        """
        if column is not None:
            return self._gathered(column)
        return self._all_gathered(writable=False)

    def _pieces(self, name: str) -> list[AnyArray]:
        import numpy

        return [numpy.asarray(piece) for piece in self._native.column(name)]

    def _gathered(self, name: str) -> AnyArray:
        import numpy

        pieces = self._pieces(name)
        if len(pieces) == 1:
            return pieces[0]
        return numpy.concatenate(pieces) if pieces else numpy.empty(0, dtype=_KINDS.get(name, "f8"))

    def _all_gathered(self, writable: bool) -> dict[str, AnyArray]:
        """All columns, each in one piece. Where that takes copying, they share one block of memory: the system gives out
        one large block several times faster than eleven smaller ones."""
        import numpy

        pieces = {name: self._pieces(name) for name in COLUMNS}
        if not writable and len(pieces["open_time"]) == 1:
            return {name: parts[0] for name, parts in pieces.items()}
        block = numpy.empty((len(COLUMNS), len(self)), dtype="f8")
        columns: dict[str, AnyArray] = {}
        for room, (name, parts) in zip(block, pieces.items()):
            columns[name] = room.view(_KINDS.get(name, "f8"))
            if parts:
                numpy.concatenate(parts, out=columns[name])
        return columns

    def _sources(self) -> list[str]:
        open_times: Any = self._gathered("open_time").astype("int64")
        sources: list[str] = []
        for segment in self._told()["segments"]:
            rows = int(open_times.searchsorted(segment["end"])) - len(sources)
            sources += [segment["provider"]] * rows
        return sources

    # --- its rows one by one ------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._native)

    def __iter__(self) -> Iterator[Kline]:
        for position in range(len(self)):
            yield self._row(position)

    @overload
    def __getitem__(self, key: int) -> Kline: ...
    @overload
    def __getitem__(self, key: slice) -> Klines: ...
    def __getitem__(self, key: int | slice) -> Kline | Klines:
        """``klines[0]`` is a row, ``klines[10:20]`` those klines with their own story."""
        if not isinstance(key, slice):
            position = key + len(self) if key < 0 else key
            if not 0 <= position < len(self):
                raise IndexError(f"row {key} of {len(self)}")
            return self._row(position)
        first, last, step = key.indices(len(self))
        if step != 1:
            raise BadRequestError(f"step {step}: klines are sliced one after the other; use a table for anything else")
        start, end = self._native.range()
        if first >= last:
            return Klines(self._native.between(start, start))
        start = start if first == 0 else self._open_time(first)
        end = end if last == len(self) else self._open_time(last)
        return Klines(self._native.between(start, end))

    def _numbers(self, position: int) -> list[Any]:
        numbers = self._native.row(position)
        if numbers is None:
            raise IndexError(f"row {position} of {len(self)}")
        return list(numbers)

    def _open_time(self, position: int) -> int:
        return int(self._numbers(position)[0])

    def _row(self, position: int) -> Kline:
        numbers = self._numbers(position)
        numbers[0], numbers[6] = datetime_of(numbers[0]), datetime_of(numbers[6])
        return Kline(*numbers)

    def printed(self, position: int, column: str) -> str:
        """A price or a volume as the exchange printed it, every digit: ``klines.printed(0, "close")``."""
        text = self._native.printed(position, column)
        if text is None:
            raise BadRequestError(f"row {position}, column {column!r}: expected a row of {len(self)} and a decimal column")
        return text

    def between(self, start: TimeLike | None = None, end: TimeLike | None = None, *, unit: Unit | None = None) -> Klines:
        """The klines that open from ``start`` to before ``end``, with their own segments and gaps, without copying."""
        whole = self._native.range()
        return Klines(
            self._native.between(
                whole[0] if start is None else micros_of(start, unit, "start"),
                whole[1] if end is None else micros_of(end, unit, "end"),
            )
        )

    # --- for people ---------------------------------------------------------------------------------------------------

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

    def __repr__(self) -> str:
        exchange, market, symbol, interval = self._native.series()
        start, end = (format_instant(micros) for micros in self._native.range())
        state = "complete" if self.is_complete else "incomplete"
        return f"<Klines {exchange} {market} {symbol} {interval}, {start} to {end}: {len(self):,} rows, {state}>"

    def _repr_html_(self) -> str:
        from .page import page

        return page(self)
