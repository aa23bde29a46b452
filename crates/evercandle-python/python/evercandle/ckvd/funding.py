"""Funding rates with the columns and types that crypto-kline-vision-data documents, the same for pandas and Polars.

One row per settlement, so there is no grid and nothing to reindex. ``time``, the index in pandas and the first column in
Polars, is when it was settled as the exchange tells it: up to some milliseconds after the hour. ``contracts`` is the
symbol. ``funding_interval`` is how often it is settled, such as ``8h``; it is null where whoever supplied the row does not
publish it: archives do, REST does not. ``_data_source`` is as for klines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..vocabulary import datetime_of
from .config import FUNDING_RATE_DTYPES
from .engine import Question
from .enums import ChartType, Interval
from .grid import floor, following
from .tables import SOURCE, origins_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas
    import polars

    from ..answer import Answer


def question_of(symbol: str, market: str, start: int, end: int) -> Question:
    """What has to be asked for rates settled from ``start`` to before ``end``: a rate belongs to the hour in which it was
    settled, so whole hours."""
    hour = Interval.HOUR_1
    last = following(floor(end - 1, hour), hour)
    return Question(symbol, market, hour, floor(start, hour), last, ChartType.FUNDING_RATE)


def _names(source: bool) -> list[str]:
    return [*FUNDING_RATE_DTYPES, SOURCE] if source else list(FUNDING_RATE_DTYPES)


def to_pandas(parts: Sequence[Answer[Any]], start: int, end: int, source: bool) -> pandas.DataFrame:
    """A pandas frame of what the parts hold that was settled from ``start`` to before ``end``."""
    import numpy
    import pandas

    arrays: list[dict[str, Any]] = [part.to_numpy() for part in parts]
    times: Any = numpy.concatenate([array["funding_time"] for array in arrays])
    index = pandas.DatetimeIndex(times.astype("M8[ns]"), tz="UTC", name="time")
    hours = [None if hour != hour else f"{int(hour)}h" for array in arrays for hour in array["interval_hours"].tolist()]
    symbols = [part.symbol for part in parts for _ in range(len(part))]
    labels = [label for part in parts for label, rows in origins_of(part) for _ in range(rows)]
    columns: dict[str, Any] = {
        "contracts": pandas.Series(symbols, index=index, dtype="string"),
        "funding_interval": pandas.Series(hours, index=index, dtype="string"),
        "funding_rate": numpy.concatenate([array["funding_rate"] for array in arrays]),
        SOURCE: pandas.Series(labels, index=index, dtype=object),
    }
    frame: Any = pandas.DataFrame({name: columns[name] for name in _names(source)}, index=index)
    moments: Any = times.astype("int64")
    wanted: pandas.DataFrame = frame[(moments >= start) & (moments < end)].sort_index()
    return wanted


def to_polars(parts: Sequence[Answer[Any]], start: int, end: int, source: bool) -> polars.DataFrame:
    """A Polars frame of what the parts hold that was settled from ``start`` to before ``end``."""
    import polars

    frames: list[polars.DataFrame] = []
    for part in parts:
        labels = [label for label, rows in origins_of(part) for _ in range(rows)]
        frame = part.to_polars().select(
            polars.col("funding_time").alias("time"),
            polars.lit(part.symbol).alias("contracts"),
            polars.format("{}h", "interval_hours").alias("funding_interval"),
            polars.col("funding_rate"),
            polars.Series(SOURCE, labels, dtype=polars.String),
        )
        frames.append(frame)
    wanted = (polars.col("time") >= datetime_of(start)) & (polars.col("time") < datetime_of(end))
    return polars.concat(frames).filter(wanted).sort("time").select(["time", *_names(source)])
