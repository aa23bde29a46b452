"""Tables of others: what they show, and that the rows are not copied for them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import evercandle
import numpy
import pytest
from evercandle.page import page as page_of

from .conftest import DAY

# Their own type annotations know nothing of the Arrow protocol.
duckdb: Any = import_module("duckdb")
pandas: Any = import_module("pandas")
polars: Any = import_module("polars")
pyarrow: Any = import_module("pyarrow")

COLUMNS = [
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
]


def address_of(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def maps_of_the_cache(path: Path) -> list[tuple[int, int]]:
    """Where files of the cache are mapped."""
    spans: list[tuple[int, int]] = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        if str(path) in line:
            first, _, last = line.split()[0].partition("-")
            spans.append((int(first, 16), int(last, 16)))
    return spans


def test_every_consumer_sees_the_buffers_that_the_cache_maps(stored: evercandle.Client) -> None:
    klines = stored.get_data("BTCUSDT", "1m", *DAY)
    arrow = pyarrow.table(klines)
    frame = polars.DataFrame(klines)
    for name in ("open", "close", "count", "taker_buy_quote_volume"):
        [chunk] = arrow.column(name).chunks
        address = chunk.buffers()[1].address + chunk.offset * 8
        assert address == address_of(klines.to_numpy(name)), "NumPy"
        assert address == address_of(frame[name].to_numpy(allow_copy=False)), "Polars"
        spans = maps_of_the_cache(stored.cache.path)
        assert any(first <= address < last for first, last in spans), "inside a mapped file of the cache"
    again = pyarrow.table(stored.get_data("BTCUSDT", "1m", *DAY)).column("close").chunks[0]
    close = arrow.column("close").chunks[0]
    assert again.buffers()[1].address == close.buffers()[1].address, "one map serves every answer"


def test_pandas_gets_views_where_it_is_told_not_to_write(stored: evercandle.Client) -> None:
    klines = stored.get_data("BTCUSDT", "1m", *DAY)
    frame = klines.to_pandas(writable=False)
    index: Any = frame.index
    assert address_of(frame["close"].to_numpy()) == address_of(klines.to_numpy("close"))
    assert address_of(index.asi8) == address_of(klines.to_numpy("open_time"))
    assert address_of(frame["close_time"].array.asi8) == address_of(klines.to_numpy("close_time"))
    assert frame.resample("1h").last().shape == (24, 10) and frame.sort_values("close_time").index.equals(index)
    frame = klines.to_pandas()
    frame.loc[frame.index[0], "close"] = 0.0
    assert frame["close"].iloc[0] == 0.0 and klines[0].close > 0.0


def test_a_part_of_a_file_is_the_same_memory(stored: evercandle.Client) -> None:
    whole = stored.get_data("BTCUSDT", "1m", "2024-04-01", "2024-04-05")
    part = whole.between("2024-04-02", "2024-04-03")
    assert address_of(part.to_numpy("close")) == address_of(whole.to_numpy("close")) + 1440 * 8
    assert not part.to_numpy("close").flags.writeable


def test_polars_shows_utc_microseconds_and_all_columns(stored: evercandle.Client) -> None:
    frame = stored.get_data("BTCUSDT", "1m", "2024-03-31", "2024-04-02").to_polars()
    assert frame.columns == COLUMNS and frame.height == 2880
    assert frame.schema["open_time"] == polars.Datetime("us", "UTC")
    assert frame.schema["count"] == polars.Int64 and frame.schema["close"] == polars.Float64
    assert frame["open_time"].is_sorted() and frame.null_count().sum_horizontal().item() == 0


def test_pandas_has_a_utc_index_called_open_time(stored: evercandle.Client) -> None:
    klines = stored.get_data("BTCUSDT", "1m", "2024-03-31", "2024-04-02")
    frame = klines.to_pandas()
    index: Any = frame.index
    assert isinstance(index, pandas.DatetimeIndex)
    assert index.name == "open_time" and str(index.tz) == "UTC"
    assert list(frame.columns) == COLUMNS[1:] and len(frame) == 2880
    assert frame["close"].tolist() == klines.to_numpy("close").tolist()
    assert frame.loc["2024-04-01 00:00":"2024-04-01 00:59"].shape == (60, 10)
    assert frame["close_time"].iloc[0] == pandas.Timestamp("2024-03-31T00:00:59.999Z")


def test_others_take_it_by_the_arrow_protocol(stored: evercandle.Client) -> None:
    klines = stored.get_data("BTCUSDT", "1m", "2024-03-31", "2024-04-02")
    table = klines.to_arrow()
    assert table.column_names == COLUMNS and table.num_rows == 2880 and table.column("close").num_chunks == 2
    assert pyarrow.schema(klines).field("volume").metadata == {b"unit": b"base"}
    found = duckdb.sql("select count(*), max(high) from klines").fetchall()
    assert found == [(2880, klines.to_numpy("high").max())]
    reader = pyarrow.RecordBatchReader.from_stream(klines)
    assert sum(batch.num_rows for batch in reader) == 2880
    if hasattr(pandas.DataFrame, "from_arrow"):
        assert pandas.DataFrame.from_arrow(klines).shape == (2880, 11)


def test_a_column_says_who_supplied_each_row(client: evercandle.Client) -> None:
    client.get_data("BTCUSDT", "1m", "2024-06-12", "2024-06-13")
    klines = client.get_data("BTCUSDT", "1m", "2024-06-12T12:00", "2024-06-14T12:00")
    expected = [
        segment.provider
        for segment in klines.segments
        for _ in range(len(klines.between(segment.start, segment.end)))
    ]
    assert set(expected) == {"binance-vision", "binance"}
    assert klines.to_polars(source=True)["source"].to_list() == expected
    assert klines.to_pandas(source=True)["source"].tolist() == expected
    assert klines.to_arrow(source=True).column("source").to_pylist() == expected
    assert klines.to_polars(source=True).columns == [*COLUMNS, "source"]


def test_no_rows_are_a_table_too(client: evercandle.Client) -> None:
    klines = client.get_data("BTCUSDT", "1d", "2016-01-01", "2016-02-01")
    assert len(klines) == 0 and klines.is_complete
    assert klines.to_polars().shape == (0, 11) and klines.to_arrow().num_rows == 0
    assert klines.to_pandas(source=True).shape == (0, 11)
    assert klines.to_numpy("close").dtype == numpy.float64
    assert "0 rows" in page_of(klines)


def test_an_unknown_column_is_refused_by_name(stored: evercandle.Client) -> None:
    with pytest.raises(evercandle.BadRequestError, match="expected one of open_time, open"):
        stored.get_data("BTCUSDT", "1m", *DAY).to_numpy("price")
