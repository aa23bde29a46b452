"""Answers of the real exchange, recorded, all the way to a table.

They are looked for in EVERCANDLE_RECORDED, by default ../shared/recorded beside the repository; where there are none,
this says so and passes.
"""

from __future__ import annotations

import csv
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import evercandle
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
FOLDER = Path(os.environ.get("EVERCANDLE_RECORDED") or REPOSITORY.parent / "shared" / "recorded")

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no recordings at {FOLDER}")

MARKETS = ("spot", "um", "cm")


def rows_of(path: Path) -> list[list[str]]:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            text = archive.read(archive.namelist()[0]).decode()
    else:
        text = path.read_text()
    return [row for row in csv.reader(io.StringIO(text)) if row and row[0].isdigit()]


def archives() -> list[tuple[str, Path]]:
    found: list[tuple[str, Path]] = []
    for market in MARKETS:
        folder = FOLDER / "vision" / market
        for path in sorted(folder.glob("*")) if folder.is_dir() else []:
            if path.suffix in (".zip", ".csv") and path.name.split("-")[1] in ("1m", "1h"):
                found.append((market, path))
    return found


def test_recorded_archives_arrive_in_polars_as_they_were_published() -> None:
    checked = 0
    with evercandle.Client(simulate=evercandle.Simulation(now="2026-01-01", recorded=FOLDER)) as client:
        for market, path in archives():
            symbol, interval = path.name.split("-")[:2]
            rows = rows_of(path)
            unit = 1 if len(rows[0][0]) >= 16 else 1_000
            first, last = int(rows[0][0]) * unit, int(rows[-1][0]) * unit
            klines = client.get_data(
                symbol, interval, first, last + 1, unit="us", market=market, sources=["binance-vision"]
            )
            frame: Any = klines.to_polars(source=True)
            recorded = {int(row[0]) * unit: row for row in rows}
            told = dict(zip(frame["open_time"].to_physical().to_list(), frame.iter_rows()))
            assert set(told) == set(recorded), (market, path.name)
            for open_time, row in recorded.items():
                ours = told[open_time]
                assert list(ours[1:6]) == [float(text) for text in row[1:6]], (path.name, open_time)
                assert [ours[7], ours[9], ours[10]] == [float(row[at]) for at in (7, 9, 10)]
                assert ours[8] == int(row[8])
            checked += len(rows)
    assert checked > 10_000
