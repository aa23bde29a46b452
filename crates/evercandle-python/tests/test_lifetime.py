"""Tables outlive everything they were made of."""

from __future__ import annotations

import gc
from pathlib import Path

import evercandle
import polars
import pyarrow

from .conftest import DAY, NOW


def test_tables_stay_valid_when_the_cache_is_emptied_and_filled_again(client: evercandle.Client) -> None:
    klines = client.get_data("BTCUSDT", "1m", *DAY)
    frame, table, close = klines.to_polars(), klines.to_arrow(), klines.to_numpy("close")
    expected = close.tolist()
    evicted = client.cache.evict(everything=True)
    assert evicted.files > 0 and client.cache.ls() == []
    assert not list(client.cache.path.rglob("*.arrow"))
    client.get_data("BTCUSDT", "1m", "2024-04-01", "2024-04-05")
    del klines
    gc.collect()
    assert frame["close"].to_list() == expected
    assert table.column("close").to_pylist() == expected
    assert close.tolist() == expected


def test_tables_stay_valid_when_a_file_is_replaced(client: evercandle.Client) -> None:
    hours = client.get_data("BTCUSDT", "1m", "2024-06-14T06:00", "2024-06-14T08:00")
    frame = hours.to_polars()
    expected = frame["close"].to_list()
    files = set(client.cache.path.rglob("*.arrow"))
    client.get_data("BTCUSDT", "1m", "2024-06-14T00:00", "2024-06-14T12:00")
    client.get_data("BTCUSDT", "1m", "2024-06-10", "2024-06-14")
    assert set(client.cache.path.rglob("*.arrow")) != files
    gc.collect()
    assert frame["close"].to_list() == expected == hours.to_numpy("close").tolist()


def test_tables_outlive_the_client_and_its_folder() -> None:
    client = evercandle.Client(simulate=evercandle.Simulation(seed=7, now=NOW))
    klines = client.get_data("BTCUSDT", "1m", *DAY)
    expected = [row.close for row in klines]
    frame, path = polars.DataFrame(klines), client.cache.path
    assert path.is_dir()
    client.close()
    del klines, client
    gc.collect()
    assert not Path(path).exists(), "a simulated cache goes with its client"
    assert frame["close"].to_list() == expected


def test_a_capsule_that_nobody_reads_is_let_go(stored: evercandle.Client) -> None:
    klines = stored.get_data("BTCUSDT", "1m", *DAY)
    for _ in range(100):
        klines.__arrow_c_stream__()
        klines.__arrow_c_schema__()
    assert pyarrow.table(klines).num_rows == 1440
