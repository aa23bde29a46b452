"""Frames with the columns and types that crypto-kline-vision-data documents, the same for pandas and Polars.

``open_time`` is the index in pandas and the first column in Polars. ``_data_source`` says where each row came from:
``CACHE``, ``VISION`` (the exchange's archives) or ``REST``. A slot without a kline is a row without values: NaN, NaT, null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .config import OUTPUT_DTYPES
from .engine import VISION

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas
    import polars

    from ..answer import Answer

SOURCE = "_data_source"

_RENAMED = {"quote_volume": "quote_asset_volume"}


def origins_of(part: Answer[Any]) -> list[tuple[str, int]]:
    """Where its rows came from, and how many came from there, in order."""
    origins: list[tuple[str, int]] = []
    for segment in part.segments:
        if segment.via == "cache":
            label = "CACHE"
        else:
            label = "VISION" if segment.provider == VISION else "REST"
        origins.append((label, len(part.between(segment.start, segment.end))))
    return origins


def to_pandas(parts: Sequence[Answer[Any]], grid: Sequence[int] | None, source: bool) -> pandas.DataFrame:
    """A pandas frame of what the parts hold; with ``grid``, of exactly these open times."""
    import numpy
    import pandas

    frames = [_pandas_of(part, source) for part in parts]
    whole = frames[0] if len(frames) == 1 else pandas.concat(frames).sort_index(kind="stable")
    if grid is None or len(grid) == len(whole):
        return whole
    opens = numpy.asarray(grid, dtype="int64").astype("M8[us]").astype("M8[ns]")
    return whole.reindex(pandas.DatetimeIndex(opens, tz="UTC", name="open_time"))


def _pandas_of(part: Answer[Any], source: bool) -> pandas.DataFrame:
    import numpy
    import pandas

    told: Any = part.to_pandas().rename(columns=_RENAMED)
    index = told.index.as_unit("ns")
    columns = {name: told[name].array for name in OUTPUT_DTYPES}
    columns["close_time"] = columns["close_time"].as_unit("ns")
    if source:
        # Types are told for the sake of answers without rows.
        labels = [numpy.full(rows, label, dtype=object) for label, rows in origins_of(part)]
        column = numpy.concatenate([*labels, numpy.empty(0, dtype=object)])
        columns[SOURCE] = pandas.Series(column, index=index, dtype=object)
    return pandas.DataFrame(columns, index=index, copy=False)


def to_polars(parts: Sequence[Answer[Any]], grid: Sequence[int] | None, source: bool) -> polars.DataFrame:
    """A Polars frame of what the parts hold; with ``grid``, of exactly these open times."""
    import polars

    frames: list[polars.DataFrame] = []
    for part in parts:
        frame = part.to_polars().rename(_RENAMED)
        if source:
            labels = [polars.repeat(label, rows, dtype=polars.String, eager=True) for label, rows in origins_of(part)]
            column = polars.concat(labels) if labels else polars.Series(dtype=polars.String)
            frame = frame.with_columns(column.alias(SOURCE))
        frames.append(frame)
    whole = frames[0] if len(frames) == 1 else polars.concat(frames).sort("open_time")
    names = ["open_time", *OUTPUT_DTYPES, SOURCE] if source else ["open_time", *OUTPUT_DTYPES]
    whole = whole.select(names)
    if grid is None or len(grid) == len(whole):
        return whole
    opens = polars.Series("open_time", list(grid), dtype=polars.Int64).cast(whole.schema["open_time"])
    return opens.to_frame().join(whole, on="open_time", how="left").sort("open_time")
