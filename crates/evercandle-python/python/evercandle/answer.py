"""What answers have in common: rows, and their story."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, SupportsIndex, TypeVar, overload

from ._native import format_instant
from .arguments import flag_of, text_of, whole_of, wrong
from .errors import BadRequestError
from .vocabulary import TimeLike, Unit, datetime_of, micros_of, shown, with_times

if TYPE_CHECKING:
    from ._native import Klines as NativeKlines
    from collections.abc import Iterator
    from datetime import datetime

    import numpy
    import pandas
    import polars
    import pyarrow
    from typing_extensions import Self

    AnyArray = numpy.ndarray[tuple[int], numpy.dtype[Any]]

Row = TypeVar("Row")


class Segment(NamedTuple):
    """A run of rows with one origin: they open from ``start`` to before ``end``."""

    start: datetime
    end: datetime
    provider: str
    """Who supplied them: ``binance-vision`` (archives), ``binance`` (REST), …"""
    via: str
    """``cache``: remembered; ``upstream``: fetched for this answer."""
    fetched_at: datetime
    """When the provider answered; of a run that came bit by bit, when the first of it came."""
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
    """Whether nobody has anything for it, so that asking again is in vain: for good, but for ``not_yet_closed``, which
    is so until the kline has closed."""
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


def need(library: str, extra: str) -> None:
    """Imports what is wanted for one thing only, or says how to get it."""
    try:
        import_module(library)
    except ModuleNotFoundError as error:
        if error.name != library:
            raise
        raise ModuleNotFoundError(f"this needs {library}: pip install 'evercandle[{extra}]'", name=library) from error


def utc_index(times: AnyArray, name: str | None = None) -> pandas.DatetimeIndex:
    """Microseconds since the epoch as pandas has them, in place. Of ``datetime64``, which is in no zone, it would make a
    copy to give it one; integers of a type that has one are taken for what they are."""
    import pandas

    return pandas.DatetimeIndex(times.view("i8"), dtype=pandas.DatetimeTZDtype("us", "UTC"), name=name, copy=False)


class _WithSource:
    """The same rows with one column more."""

    __slots__ = ("_native",)

    def __init__(self, native: NativeKlines) -> None:
        self._native = native

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._native.arrow_c_stream(True)

    def __arrow_c_schema__(self) -> object:
        return self._native.arrow_c_schema(True)


class Answer(Generic[Row]):
    """Rows of one series, in time order, each time at most once; with where each came from and what is missing.

    Speaks the Arrow PyCapsule protocol, so that ``polars.DataFrame(answer)``, ``pyarrow.table(answer)``, DuckDB and
    others take the rows as they are: parts of the cache are mapped, and tables are views of those maps. They stay valid
    for as long as anything in Python holds them, whatever happens to the cache meanwhile, and in forked processes too.

    Immutable, so any number of threads may use it.
    """

    __slots__ = ("_native", "_story")

    # Names of the columns, in order; the first is when.
    _columns: ClassVar[tuple[str, ...]]

    # What NumPy calls the types of those that are no doubles; all take eight bytes.
    _kinds: ClassVar[dict[str, str]]

    def __init__(self, native: NativeKlines) -> None:
        self._native = native
        self._story: dict[str, Any] | None = None

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def exchange(self) -> str:
        """The organisation whose data these are."""
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
    def label(self) -> str:
        """What its rows are, in the exchange's words: an interval, or ``fundingRate``."""
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
        """Whether everything that exists was delivered: every gap is ``final``. What has not closed yet does not exist
        yet, so an answer up to now, or into the future, is complete with a gap ``not_yet_closed`` at its end."""
        return self._native.is_complete()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return self._columns

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return (len(self), len(self._columns))

    # --- its story ----------------------------------------------------------------------------------------------------

    def _told(self) -> dict[str, Any]:
        told = self._story
        if told is None:
            import json

            told = self._story = json.loads(self._native.story())
        return told

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
        return _WithSource(self._native) if flag_of(source, "source") else self

    def to_polars(self, *, source: bool = False) -> polars.DataFrame:
        """A Polars frame, without copying; ``source`` adds a categorical column saying who supplied each row."""
        need("polars", "polars")
        import polars

        return polars.DataFrame(self._rows(source))

    def to_arrow(self, *, source: bool = False) -> pyarrow.Table:
        """A PyArrow table, without copying; ``source`` adds a dictionary column saying who supplied each row."""
        need("pyarrow", "arrow")
        import pyarrow

        return pyarrow.table(self._rows(source))

    def to_pandas(self, *, source: bool = False, writable: bool = True) -> pandas.DataFrame:
        """A pandas frame with a UTC ``DatetimeIndex`` named as the first column.

        pandas wants each column in one piece, and to write into it: by default the rows are copied, once. With
        ``writable=False``, rows that lie in one file of the cache are not, and the frame cannot be written to.
        ``source`` adds a categorical column saying who supplied each row.
        """
        source, writable = flag_of(source, "source"), flag_of(writable, "writable")
        need("pandas", "pandas")
        import pandas

        columns: dict[str, Any] = dict(self._all_gathered(writable))
        when = self._columns[0]
        index = utc_index(columns.pop(when), when)
        self._suit_pandas(columns, index)
        if source:
            columns["source"] = pandas.Categorical(self._sources())
        return pandas.DataFrame(columns, index=index, copy=False)

    def _suit_pandas(self, columns: dict[str, Any], index: pandas.DatetimeIndex) -> None:
        """Gives columns the types that pandas has for them."""

    @overload
    def to_numpy(self, column: None = None) -> dict[str, AnyArray]: ...
    @overload
    def to_numpy(self, column: str) -> AnyArray: ...
    def to_numpy(self, column: str | None = None) -> dict[str, AnyArray] | AnyArray:
        """Arrays of shape ``(rows,)`` by column name, or the one that is named.

        Times are ``datetime64[us]`` in UTC, what is counted is ``int64``, the rest ``float64``. Rows that lie in one file
        of the cache are not copied, and read-only. NumPy knows no nulls: a column that may have some is copied, as
        ``float64``, with NaN for them.
        """
        need("numpy", "numpy")
        if column is not None:
            return self._gathered(text_of(column, "column", "a column's name"))
        return self._all_gathered(writable=False)

    def _pieces(self, name: str) -> list[AnyArray]:
        import numpy

        return [numpy.asarray(piece) for piece in self._native.column(name)]

    def _gathered(self, name: str) -> AnyArray:
        import numpy

        pieces = self._pieces(name)
        if len(pieces) == 1:
            return pieces[0]
        return numpy.concatenate(pieces) if pieces else numpy.empty(0, dtype=self._kinds.get(name, "f8"))

    def _all_gathered(self, writable: bool) -> dict[str, AnyArray]:
        """All columns, each in one piece. Where that takes copying, they share one block of memory: the system gives out
        one large block several times faster than several smaller ones."""
        import numpy

        pieces = {name: self._pieces(name) for name in self._columns}
        if not writable and len(pieces[self._columns[0]]) == 1:
            return {name: parts[0] for name, parts in pieces.items()}
        block = numpy.empty((len(self._columns), len(self)), dtype="f8")
        columns: dict[str, AnyArray] = {}
        for room, (name, parts) in zip(block, pieces.items()):
            columns[name] = room.view(self._kinds.get(name, "f8"))
            if parts:
                numpy.concatenate(parts, out=columns[name])
        return columns

    def _sources(self) -> list[str]:
        times: Any = self._gathered(self._columns[0]).astype("int64")
        sources: list[str] = []
        for segment in self._told()["segments"]:
            rows = int(times.searchsorted(segment["end"])) - len(sources)
            sources += [segment["provider"]] * rows
        return sources

    # --- its rows one by one ------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._native)

    def __iter__(self) -> Iterator[Row]:
        for position in range(len(self)):
            yield self._row(position)

    @overload
    def __getitem__(self, key: SupportsIndex) -> Row: ...
    @overload
    def __getitem__(self, key: slice) -> Self: ...
    def __getitem__(self, key: SupportsIndex | slice) -> Row | Self:
        """``answer[0]`` is a row, ``answer[10:20]`` those rows with their own story."""
        if not isinstance(key, slice):
            if isinstance(key, str):
                raise wrong("row", key, f"a whole number or a slice; for a column ask to_numpy({key!r})")
            position = whole_of(key, "row", None)
            position += len(self) if position < 0 else 0
            if not 0 <= position < len(self):
                raise IndexError(f"row {key} of {len(self)}")
            return self._row(position)
        try:
            first, last, step = key.indices(len(self))
        except (TypeError, ValueError):
            raise wrong("rows", key, "whole numbers; for a range of time ask between(…)") from None
        if step != 1:
            raise BadRequestError(f"step {shown(step)}: rows are sliced one after the other; use a table for anything else")
        start, end = self._native.range()
        if first >= last:
            return type(self)(self._native.between(start, start))
        start = start if first == 0 else self._slot(first)
        end = end if last == len(self) else self._slot(last)
        return type(self)(self._native.between(start, end))

    def _row(self, position: int) -> Row:
        raise NotImplementedError

    def _values(self, position: int) -> list[Any]:
        values = self._native.row(position)
        if values is None:
            raise IndexError(f"row {position} of {len(self)}")
        return list(values)

    def _slot(self, position: int) -> int:
        """Where the slot of a row begins."""
        return int(self._values(position)[0])

    def between(self, start: TimeLike | None = None, end: TimeLike | None = None, *, unit: Unit | None = None) -> Self:
        """What lies in the slots that begin from ``start`` to before ``end``, with its own segments and gaps, without
        copying."""
        whole = self._native.range()
        first = whole[0] if start is None else micros_of(start, unit, "start")
        last = whole[1] if end is None else micros_of(end, unit, "end")
        if start is not None and end is not None and last < first:
            raise BadRequestError(f"start {format_instant(first)} is after end {format_instant(last)}: expected start <= end")
        return type(self)(self._native.between(first, last))

    # --- copies -------------------------------------------------------------------------------------------------------

    def __copy__(self) -> Self:
        """Itself: nobody can change it."""
        return self

    def __deepcopy__(self, memo: object) -> Self:
        """Itself: nobody can change it."""
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Refuses: rows that are mapped from files are of no use to another process."""
        raise TypeError(f"{type(self).__name__} cannot be pickled: send a table of it, such as to_arrow() or to_polars()")

    # --- for people ---------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        exchange, market, symbol, label = self._native.series()
        start, end = (format_instant(micros) for micros in self._native.range())
        state = "complete" if self.is_complete else "incomplete"
        kind = type(self).__name__
        return f"<{kind} {exchange} {market} {symbol} {label}, {start} to {end}: {len(self):,} rows, {state}>"

    def _repr_html_(self) -> str:
        from .page import page

        return page(self)
