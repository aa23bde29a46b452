"""The cache: listed, measured, verified, made smaller; filled by downloads."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import evercandle
import pytest

from .conftest import DAY, NOW, check


def test_what_is_held_is_listed_measured_and_removed(client: evercandle.Client) -> None:
    client.get_data("BTCUSDT", "1m", *DAY)
    client.get_data("ETHUSDT", "1h", *DAY, market="um")
    held = client.cache.ls()
    assert [(one.symbol, one.interval, one.market, one.rows) for one in held] == [
        ("BTCUSDT", "1m", "spot", 1440),
        ("ETHUSDT", "1h", "um", 24),
    ]
    assert held[0].start == datetime(2024, 4, 2, tzinfo=timezone.utc)
    stats = client.cache.stats()
    assert stats.series == 2 and stats.bytes == sum(one.bytes for one in held) and stats.readonly is None
    assert Path(stats.path) == client.cache.path
    assert client.cache.evict("ETHUSDT", "1h", market="um").files == 1
    assert [one.symbol for one in client.cache.ls()] == ["BTCUSDT"]
    assert client.cache.evict(size_max=1 << 40).files == 0
    assert client.cache.evict("BTCUSDT", evercandle.Interval.M1, start=DAY[0], end=DAY[1]).files == 1
    with pytest.raises(evercandle.BadRequestError, match="everything=True"):
        client.cache.evict()
    with pytest.raises(evercandle.BadRequestError, match="together"):
        client.cache.evict("BTCUSDT", "1m", start=DAY[0])


def test_damage_is_found_set_aside_and_fetched_again(client: evercandle.Client) -> None:
    client.get_data("BTCUSDT", "1m", *DAY)
    assert client.cache.verify().damaged == []
    file = next(client.cache.path.rglob("*.arrow"))
    whole = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(whole[: len(whole) // 2] + bytes(64) + whole[len(whole) // 2 + 64 :])
    report = client.cache.verify()
    assert len(report.damaged) == 1 and report.damaged[0].why
    client.cache.evict(everything=True)
    check(client, client.get_data("BTCUSDT", "1m", *DAY))


def test_a_download_fills_the_cache_and_goes_on_where_it_stopped(
    client: evercandle.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    report = client.download(["BTCUSDT", "ETHUSDT"], ["1h", "1d"], "2024-01-01", "2024-03-01")
    assert report.is_complete and report.rows == 2 * (60 * 24 + 60)
    assert sum(one.fetched for one in report.series) == report.rows
    assert "4/4" in capsys.readouterr().err
    asked = len(client.simulator.requests())
    again = client.download(["BTCUSDT", "ETHUSDT"], ["1h", "1d"], "2024-01-01", "2024-03-01", progress=False)
    assert again.rows == report.rows and sum(one.fetched for one in again.series) == 0
    assert len(client.simulator.requests()) == asked
    assert capsys.readouterr().err == ""
    with pytest.raises(evercandle.BadRequestError, match="at least one"):
        client.download([], "1h", "2024-01-01", "2024-03-01")
    client.simulator.inject("refuse")
    check(client, client.get_data("ETHUSDT", "1h", "2024-01-01", "2024-03-01"))


def test_the_modules_functions_are_about_the_cache_that_the_environment_names(tmp_path: Path) -> None:
    with evercandle.Client(simulate=evercandle.Simulation(seed=7), cache_dir=tmp_path / "cache") as client:
        client.get_data("BTCUSDT", "1h", *DAY)
    code = """
from evercandle import cache
[held] = cache.ls()
print(held.symbol, held.rows, cache.stats().series, cache.verify().sound, cache.evict(everything=True).files, cache.ls())
print(cache.path())
"""
    environment = {**os.environ, "EVERCANDLE_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout == f"BTCUSDT 24 1 1 1 []\n{tmp_path / 'cache'}\n", done.stderr


def test_a_bar_is_drawn_without_tqdm_too(
    client: evercandle.Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert client.download("BTCUSDT", ["1h", "1d"], "2024-01-01", "2024-03-01").is_complete
    assert "█ 2/2" in capsys.readouterr().err


class _Unwritable(io.StringIO):
    def write(self, text: str, /) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("tqdm", [True, False])
@pytest.mark.parametrize("stderr", [None, _Unwritable(), io.TextIOWrapper(io.BytesIO(), encoding="ascii")])
def test_a_bar_that_cannot_be_drawn_ends_no_download(
    client: evercandle.Client, stderr: object, tqdm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not tqdm:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys, "stderr", stderr)
    assert client.download("BTCUSDT", ["1h", "1d"], "2024-01-01", "2024-03-01").is_complete


@pytest.mark.parametrize("tqdm", [True, False])
def test_a_download_outlasts_an_outage_and_says_what_it_waits_for(
    tqdm: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not tqdm:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    world, settings = evercandle.Simulation(seed=7, now=NOW), {"engine": {"patience_ms": 900_000}}
    with evercandle.Client(simulate=world, settings=settings) as client, ThreadPoolExecutor(1) as threads:
        client.simulator.inject("refuse")
        download = threads.submit(client.download, "BTCUSDT", "1d", "2024-01-01", "2024-03-01")
        told = ""
        while ", for binance" not in told and not download.done():
            time.sleep(0.01)
            told += capsys.readouterr().err
        client.simulator.clear()
        while not download.done():
            client.simulator.advance(timedelta(seconds=30))
            time.sleep(0.01)
        assert download.result().is_complete and "until 12:0" in told


def test_a_download_reports_what_could_not_be_had(client: evercandle.Client) -> None:
    client.simulator.inject("refuse", path="ETHUSDT")
    report = client.download(["BTCUSDT", "ETHUSDT", "NOPEUSDT"], "1h", "2024-01-01", "2024-02-01", progress=False)
    by_symbol = {one.symbol: one for one in report.series}
    assert by_symbol["BTCUSDT"].is_complete
    assert by_symbol["ETHUSDT"].rows == 0 and by_symbol["ETHUSDT"].gaps
    assert isinstance(by_symbol["NOPEUSDT"].error, evercandle.UnknownSymbolError)
    assert not report.is_complete
    for wrong in ({"jobs": 0}, {"end": "2023-01-01"}):
        with pytest.raises(evercandle.BadRequestError):
            client.download("BTCUSDT", "1h", "2024-01-01", **{"end": "2024-02-01", **wrong})  # type: ignore[arg-type]
    with pytest.raises(evercandle.BadRequestError, match="60m"):
        client.download("BTCUSDT", "60m", "2024-01-01", "2024-02-01")


def test_a_download_that_cannot_be_stored_is_not_complete() -> None:
    with evercandle.Client(simulate=evercandle.Simulation(seed=7), cache_dir="/proc/nowhere") as client:
        report = client.download("BTCUSDT", "1h", "2024-01-01", "2024-01-02", progress=False)
    [series] = report.series
    assert not report.is_complete
    assert isinstance(series.error, evercandle.CacheError), series
    assert "stored" in str(series.error)


def test_a_download_of_minutes_is_cut_by_months(client: evercandle.Client) -> None:
    report = client.download("BTCUSDT", "1m", "2024-01-20", "2024-03-10", progress=False)
    assert report.is_complete and report.rows == 50 * 1440
    archives = [one for one in client.simulator.requests("/monthly/") if one.endswith(".zip")]
    assert any("2024-02" in one for one in archives)
