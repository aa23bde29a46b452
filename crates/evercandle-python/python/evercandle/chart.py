"""Candlesticks, and funding rates as a line, with what is missing shaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .answer import need
from .arguments import flag_of, text_of, whole_of, wrong

if TYPE_CHECKING:
    from os import PathLike
    from typing import IO, TypeVar

    import matplotlib.axes
    from matplotlib.figure import Figure

    from .answer import Answer
    from .funding import FundingRates
    from .klines import Klines

    Axes = TypeVar("Axes", bound=matplotlib.axes.Axes)

    class Sheet(Figure):
        """matplotlib's figure. What it says of this method's types is not enough for pyright's strict mode."""

        def savefig(
            self, fname: str | PathLike[Any] | IO[Any], *, transparent: bool | None = None, **kwargs: Any
        ) -> None: ...

    class Picture(matplotlib.axes.Axes):
        """Axes that were made for a picture, so that they are in a figure and in no part of one."""

        @property
        def figure(self) -> Sheet: ...


_UP, _DOWN, _MISSING, _FINAL = "#1a9a75", "#d6455d", "#d6455d", "#8a8f98"
_LINE, _ZERO = "#2f6fb3", "#8a8f98"
# Of the height below the candles that volume takes.
_VOLUME_SHARE = 0.18


def draw(
    klines: Klines,
    *,
    ax: matplotlib.axes.Axes | None,
    candles: int,
    volume: bool,
    title: str | None,
) -> matplotlib.axes.Axes:
    """See ``Klines.plot``."""
    candles, volume = whole_of(candles, "candles", 1), flag_of(volume, "volume")
    _check(ax, title)
    need("matplotlib", "plot")
    import matplotlib.dates
    import numpy
    from matplotlib.collections import LineCollection, PolyCollection

    # What matplotlib says of its types is not enough for a type checker that wants to know everything.
    dates: Any = matplotlib.dates
    axes: Any = _new_axes() if ax is None else ax
    joined, per = _joined(klines, candles)
    edges = [dates.date2num(moment.replace(tzinfo=None)) for moment in (klines.start, klines.end)]
    if len(joined["open"]):
        days = dates.date2num(joined["open_time"])
        slot = (edges[1] - edges[0]) / max(1, _slots(klines)) * per
        middle, half = days + slot / 2, slot * 0.36
        rises = joined["close"] >= joined["open"]
        colours = numpy.where(rises, _UP, _DOWN)
        wicks = numpy.stack(
            [numpy.stack([middle, joined["low"]], axis=1), numpy.stack([middle, joined["high"]], axis=1)], axis=1
        )
        axes.add_collection(LineCollection(list(wicks), colors=list(colours), linewidths=0.8, zorder=2))
        low_body = numpy.minimum(joined["open"], joined["close"])
        high_body = numpy.maximum(joined["open"], joined["close"])
        axes.add_collection(
            PolyCollection(
                _boxes(middle, half, low_body, high_body), facecolors=list(colours), edgecolors=list(colours), zorder=3
            )
        )
        lowest, highest = float(joined["low"].min()), float(joined["high"].max())
        room = (highest - lowest) or highest * 0.01 or 1.0
        bottom = lowest - room * (_VOLUME_SHARE + 0.08 if volume else 0.05)
        axes.set_ylim(bottom, highest + room * 0.05)
        if volume and joined["volume"].max() > 0:
            heights = joined["volume"] / joined["volume"].max() * room * _VOLUME_SHARE
            base = numpy.full_like(heights, bottom)
            axes.add_collection(
                PolyCollection(
                    _boxes(middle, half, base, base + heights), facecolors=list(colours), alpha=0.35, zorder=1
                )
            )
    _dress(axes, dates, klines, _title(klines, per) if title is None else title)
    drawn: matplotlib.axes.Axes = axes
    return drawn


def draw_rates(rates: FundingRates, *, ax: matplotlib.axes.Axes | None, title: str | None) -> matplotlib.axes.Axes:
    """See ``FundingRates.plot``."""
    _check(ax, title)
    need("matplotlib", "plot")
    import matplotlib.dates
    import matplotlib.ticker
    import numpy

    dates: Any = matplotlib.dates
    ticker: Any = matplotlib.ticker
    axes: Any = _new_axes() if ax is None else ax
    times: Any = rates.to_numpy("funding_time")
    values: Any = rates.to_numpy("funding_rate")
    # Where something is missing, nothing is drawn.
    missing = [numpy.datetime64(gap.start.replace(tzinfo=None), "us") for gap in rates.gaps]
    if missing:
        before = numpy.searchsorted(times, missing)
        times, values = numpy.insert(times, before, missing), numpy.insert(values, before, numpy.nan)
    axes.axhline(0, color=_ZERO, linewidth=0.8, zorder=1)
    axes.plot(times, values, color=_LINE, linewidth=1.0, zorder=2)
    axes.yaxis.set_major_formatter(ticker.PercentFormatter(xmax=1))
    state = "" if rates.is_complete else ", incomplete"
    told = f"{rates.symbol} {rates.market}: {len(rates):,} funding rates{state}"
    _dress(axes, dates, rates, told if title is None else title)
    drawn: matplotlib.axes.Axes = axes
    return drawn


def _check(ax: object, title: object) -> None:
    if ax is not None and not hasattr(ax, "add_collection"):
        raise wrong("ax", ax, "matplotlib axes")
    if title is not None and title != "":
        text_of(title, "title")


def _dress(axes: Any, dates: Any, answer: Answer[Any], title: str) -> None:
    """Shades what is missing, and gives the picture its dates, its title and its legend."""
    for gap in answer.gaps:
        first, last = (dates.date2num(moment.replace(tzinfo=None)) for moment in (gap.start, gap.end))
        axes.axvspan(
            first, last, color=_FINAL if gap.final else _MISSING, alpha=0.15, linewidth=0, zorder=0, label=_label(gap.reason)
        )
    axes.set_xlim(*(dates.date2num(moment.replace(tzinfo=None)) for moment in (answer.start, answer.end)))
    locator = dates.AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    axes.grid(True, alpha=0.2, linewidth=0.6)
    axes.set_title(title, loc="left", fontsize=10)
    _legend(axes)


def _new_axes() -> Any:
    import matplotlib.pyplot

    pyplot: Any = matplotlib.pyplot
    _, axes = pyplot.subplots(figsize=(11, 5), layout="constrained")
    return axes


def _slots(klines: Klines) -> int:
    return len(klines) + sum(gap.slots for gap in klines.gaps)


def _joined(klines: Klines, candles: int) -> tuple[dict[str, Any], int]:
    """Columns of at most so many candles, and how many klines each stands for.

    Klines are joined by the slot they open in, not by position, so that a gap is as wide as the time that is missing.
    """
    import numpy

    names = ("open_time", "open", "high", "low", "close", "volume")
    columns: dict[str, Any] = {name: klines.to_numpy(name) for name in names}
    slots = _slots(klines)
    per = -(-slots // candles) if slots else 1
    if per <= 1 or not len(klines):
        return columns, 1
    start = numpy.datetime64(klines.start.replace(tzinfo=None), "us").astype("int64")
    end = numpy.datetime64(klines.end.replace(tzinfo=None), "us").astype("int64")
    group = (columns["open_time"].astype("int64") - start) * slots // (end - start) // per
    first = numpy.flatnonzero(numpy.diff(group, prepend=group[0] - 1))
    last = numpy.append(first[1:], len(group)) - 1
    return {
        "open_time": (group[first] * per * (end - start) // slots + start).astype("M8[us]"),
        "open": columns["open"][first],
        "high": numpy.maximum.reduceat(columns["high"], first),
        "low": numpy.minimum.reduceat(columns["low"], first),
        "close": columns["close"][last],
        "volume": numpy.add.reduceat(columns["volume"], first),
    }, per


def _boxes(middle: Any, half: float, low: Any, high: Any) -> list[Any]:
    import numpy

    left, right = middle - half, middle + half
    corners = [numpy.stack(corner, axis=1) for corner in ((left, low), (left, high), (right, high), (right, low))]
    return list(numpy.stack(corners, axis=1))


def _label(reason: str) -> str:
    return reason.replace("_", " ")


def _title(klines: Klines, per: int) -> str:
    joined = "" if per == 1 else f", {per} klines to a candle"
    state = "" if klines.is_complete else ", incomplete"
    return f"{klines.symbol} {klines.market} {klines.interval}: {len(klines):,} klines{joined}{state}"


def _legend(axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    by_label = dict(zip(labels, handles))
    if by_label:
        axes.legend(by_label.values(), by_label.keys(), loc="upper right", fontsize=8, frameon=False)
