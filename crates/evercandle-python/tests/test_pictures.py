"""What people see: charts, and pages in notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import evercandle
import matplotlib
import pytest
from evercandle.page import page as page_of

matplotlib.use("Agg")


def test_a_chart_has_a_candle_per_kline_and_shades_what_is_missing(client: evercandle.Client, tmp_path: Path) -> None:
    client.simulator.halt("2024-05-28T02:00", "2024-05-28T04:10")
    klines = client.get_data("BTCUSDT", "15m", "2024-05-28", "2024-05-29")
    axes: Any = klines.plot()
    wicks, bodies, volumes = axes.collections
    assert len(wicks.get_segments()) == len(klines) == len(bodies.get_paths()) == len(volumes.get_paths())
    first = bodies.get_paths()[0].vertices[:, 1]
    assert {float(first.min()), float(first.max())} == {
        min(klines[0].open, klines[0].close),
        max(klines[0].open, klines[0].close),
    }
    assert len(axes.patches) == len(klines.gaps) > 0
    assert "BTCUSDT" in axes.get_title(loc="left")
    file = tmp_path / "chart.png"
    axes.figure.savefig(file)
    assert file.read_bytes().startswith(b"\x89PNG")


def test_many_klines_are_joined_and_the_title_says_so(stored: evercandle.Client) -> None:
    klines = stored.get_data("BTCUSDT", "1m", "2024-04-01", "2024-04-11")
    axes: Any = klines.plot(candles=240, volume=False)
    wicks = axes.collections[0].get_segments()
    assert len(wicks) == 240 and "60 klines to a candle" in axes.get_title(loc="left")
    hours = stored.get_data("BTCUSDT", "1h", "2024-04-01", "2024-04-11").to_numpy()
    assert [float(wick[0][1]) for wick in wicks] == hours["low"].tolist()
    assert [float(wick[1][1]) for wick in wicks] == hours["high"].tolist()


def test_an_empty_answer_can_be_drawn(client: evercandle.Client) -> None:
    axes: Any = client.get_data("BTCUSDT", "1d", "2016-01-01", "2016-02-01").plot()
    assert len(axes.patches) == 1
    with pytest.raises(evercandle.BadRequestError):
        client.get_data("BTCUSDT", "1d", "2016-01-01", "2016-02-01").plot(candles=0)


def test_a_notebook_shows_rows_and_story_and_trusts_nobodys_text(client: evercandle.Client) -> None:
    client.simulator.inject("status", status=403, body="<script>alert(1)</script>")
    with pytest.raises(evercandle.EvercandleError) as caught:
        client.get_data("BTCUSDT", "1h", "2024-04-01", "2024-04-02")
    partial: evercandle.Klines | None = getattr(caught.value, "partial", None)
    assert partial is not None
    page = page_of(partial)
    assert "<script>" not in page and "gaps" in page and "incomplete" in page
    client.simulator.clear()
    with evercandle.Client(simulate=evercandle.Simulation(seed=7)) as other:
        page = page_of(other.get_data("BTCUSDT", "1h", "2024-04-01", "2024-04-02"))
    assert "24 rows, complete" in page and "2024-04-01 23:00:00" in page and "…" in page


def test_a_picture_becomes_a_file_in_one_line_that_type_checks(client: evercandle.Client, tmp_path: Path) -> None:
    client.get_data("BTCUSDT", "1d", "2024-01-01", "2024-03-01").plot().figure.savefig(tmp_path / "btc.png")
    client.funding_rates("BTCUSDT", "2024-01-01", "2024-03-01").plot().figure.savefig(tmp_path / "funding.png")
    assert all(one.stat().st_size > 5_000 for one in tmp_path.iterdir())


class Desk(evercandle.Client):
    """A client of somebody's own."""

    def closes(self) -> list[float]:
        return [kline.close for kline in self.get_data("BTCUSDT", "1d", "2024-01-01", "2024-01-03")]


def test_a_client_of_ones_own_is_what_a_with_statement_gives() -> None:
    with Desk(simulate=True) as desk:
        assert len(desk.closes()) == 2
