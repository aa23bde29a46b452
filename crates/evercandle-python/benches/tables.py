"""From the cache to a table: how long it takes, beside reading the same klines from files without a cache of ours.

    python benches/tables.py [--quick]

Each measurement is the median of many; ratios are to ours, from the same run. "cold" asks a simulated exchange over a
loopback socket, which makes up and packs the archives meanwhile, so it bounds the time from above.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import evercandle

NOW = "2024-06-14T12:00:30Z"
RANGES = [(1, "2024-05-30", "2024-05-31"), (30, "2024-05-01", "2024-05-31"), (365, "2023-06-01", "2024-05-31")]


def median(work: Callable[[], Any], repetitions: int) -> float:
    work()
    times: list[float] = []
    for _ in range(repetitions):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1_000


def fresh_process(code: str, repetitions: int) -> float:
    """Milliseconds that ``code`` prints, in a process of its own."""
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(repetitions)
    ]
    return statistics.median(times)


def main(quick: bool) -> None:
    # Their own type annotations do not say everything.
    pandas, polars, pyarrow = (import_module(name) for name in ("pandas", "polars", "pyarrow"))
    feather: Any = import_module("pyarrow.feather")
    parquet_files: Any = import_module("pyarrow.parquet")

    few, many = (3, 30) if quick else (7, 200)
    print(f"python {sys.version.split()[0]}, polars {polars.__version__}, pandas {pandas.__version__}, "
          f"pyarrow {pyarrow.__version__}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        world = evercandle.Simulation(seed=7, now=NOW)
        with evercandle.Client(simulate=world, cache_dir=cache) as client:
            began = time.perf_counter()
            year = client.get_data("BTCUSDT", "1m", *RANGES[-1][1:])
            cold = time.perf_counter() - began
            assert len(year) == 365 * 1440 and year.is_complete
            print(f"cold, 365 days of 1m from the simulated exchange: {cold:.2f} s, {len(year) / cold:,.0f} klines/s\n")
            print(f"{'warm, 1m':34}{'1 day':>22}{'30 days':>22}{'365 days':>22}")
            rows: dict[str, list[float]] = {}
            for days, start, end in RANGES:
                table = client.get_data("BTCUSDT", "1m", start, end).to_arrow()
                ipc, parquet = Path(folder) / f"{days}.arrow", Path(folder) / f"{days}.parquet"
                feather.write_feather(table, str(ipc), compression="uncompressed")
                parquet_files.write_table(table, parquet)
                repetitions = many if days < 365 else few * 5
                held = client.get_data("BTCUSDT", "1m", start, end)

                def ask(start: str = start, end: str = end) -> evercandle.Klines:
                    return client.get_data("BTCUSDT", "1m", start, end)

                def scan(file: Path = ipc) -> Any:
                    return polars.scan_ipc(file).collect()

                def read(file: Path = parquet) -> Any:
                    return parquet_files.read_table(file)

                assert ask().to_polars().equals(scan()), "the same klines"
                cases: dict[str, Callable[[], Any]] = {
                    "get_data": ask,
                    "get_data, to Polars": lambda: ask().to_polars(),
                    "  an answer in hand, to Polars": lambda: held.to_polars(),
                    "  polars.scan_ipc": scan,
                    "  Parquet by pyarrow, to Polars": lambda: polars.from_arrow(read()),
                    "get_data, to pandas": lambda: ask().to_pandas(),
                    "  as views (writable=False)": lambda: ask().to_pandas(writable=False),
                    "  polars.scan_ipc, to pandas": lambda: scan().to_pandas(),
                    "  Parquet by pyarrow, to pandas": lambda: read().to_pandas().set_index("open_time"),
                }
                for name, case in cases.items():
                    rows.setdefault(name, []).append(median(case, repetitions))
            base: list[float] = []
            for name, times in rows.items():
                if not name.startswith(" "):
                    base = times
                cells = [f"{took:12.3f} ms {took / ours:5.1f}x" for took, ours in zip(times, base)]
                print(f"{name:34}" + "".join(f"{cell:>22}" for cell in cells))
        imported = "import time; t = time.perf_counter(); import evercandle; print((time.perf_counter() - t) * 1000)"
        settings = json.dumps({"internet": "http://127.0.0.1:9"})
        first = f"""
import polars, time, evercandle
t = time.perf_counter()
client = evercandle.Client(cache_dir={str(cache)!r}, settings={settings})
frame = client.get_data("BTCUSDT", "1m", {RANGES[-1][1]!r}, {RANGES[-1][2]!r}, sources="cache").to_polars()
took = (time.perf_counter() - t) * 1000
assert frame.height == 365 * 1440
print(took)
"""
        print(f"\nimport evercandle, a fresh process: {fresh_process(imported, few):.1f} ms")
        print(f"365 days to Polars, a fresh process after imports, client included: {fresh_process(first, few):.1f} ms")


if __name__ == "__main__":
    main("--quick" in sys.argv[1:])
