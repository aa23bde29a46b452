"""Funding rates: equal to the exchange's truth, cached, with the story of every hour."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import Any

import evercandle
import matplotlib
import numpy
import pytest
from evercandle import FundingRates
from evercandle.page import page as page_of

from .conftest import NOW, micros

matplotlib.use("Agg")

# Their own type annotations know nothing of the Arrow protocol.
duckdb: Any = import_module("duckdb")
polars: Any = import_module("polars")
pyarrow: Any = import_module("pyarrow")

UTC = timezone.utc
SPRING = ("2024-03-01", "2024-06-14T10:00")
"""Months that archives have, and days that only REST has."""

COLUMNS = ["funding_time", "funding_rate", "mark_price", "interval_hours"]


@pytest.fixture(scope="module")
def held() -> Iterator[evercandle.Client]:
    """Shared by tests that only read."""
    with evercandle.Client(simulate=evercandle.Simulation(seed=7, now=NOW)) as client:
        client.funding_rates("BTCUSDT", *SPRING)
        yield client


def check(client: evercandle.Client, rates: FundingRates) -> None:
    """Every row is the truth, to the digit; what is null was not published; segments cover the rows."""
    truth = client.simulator.funding_truth(rates.symbol, rates.start, rates.end, market=rates.market)
    assert len(rates) == len(truth)
    for position, (rate, (time, hours, text, mark_price)) in enumerate(zip(rates, truth)):
        assert micros(rate.funding_time) == time
        assert rates.printed(position) == text and rate.funding_rate == float(text)
        assert rate.interval_hours in (None, hours)
        assert rates.printed(position, "mark_price") in (None, mark_price)
        assert rate.mark_price is None or rate.mark_price == float(mark_price)
    covered = sum(len(rates.between(one.start, one.end)) for one in rates.segments)
    assert covered == len(rates)


@pytest.mark.parametrize(("symbol", "market"), [("BTC/USDT", "um"), ("ethusdt", "um"), ("BTCUSD_PERP", "cm")])
def test_every_rate_is_the_truth_to_the_digit_and_the_second_time_nobody_is_asked(
    client: evercandle.Client, symbol: str, market: str
) -> None:
    cold = client.funding_rates(symbol, *SPRING, market=market)
    check(client, cold)
    assert cold.is_complete and cold.gaps == []
    assert {one.provider for one in cold.segments} == {"binance-vision", "binance-futures"}
    client.simulator.forget_requests()
    warm = client.funding_rates(symbol, *SPRING, market=market)
    check(client, warm)
    assert client.simulator.requests() == []
    assert {one.via for one in warm.segments} == {"cache"} and list(warm) == list(cold)


def test_negative_rates_are_exact(held: evercandle.Client) -> None:
    rates = held.funding_rates("BTCUSDT", *SPRING)
    negative = [position for position, rate in enumerate(rates) if rate.funding_rate < 0]
    assert negative
    for position in negative:
        text = rates.printed(position)
        assert text is not None and text.startswith("-0.") and len(text) == len("-0.00000000")
        assert float(text) == rates[position].funding_rate
    with pytest.raises(evercandle.BadRequestError, match="funding_rate.* or .*mark_price"):
        rates.printed(0, "interval_hours")
    with pytest.raises(evercandle.BadRequestError, match="expected a row of"):
        rates.printed(len(rates))


def test_an_answer_says_what_it_is(held: evercandle.Client) -> None:
    rates = held.funding_rates("BTCUSDT", "2024-04-01", "2024-05-01")
    assert (rates.exchange, rates.market, rates.symbol, rates.label) == ("binance", "um", "BTCUSDT", "fundingRate")
    assert rates.shape == (len(rates), 4) and rates.start == datetime(2024, 4, 1, tzinfo=UTC)
    assert repr(rates) == (
        "<FundingRates binance um BTCUSDT fundingRate, 2024-04-01T00:00:00Z to 2024-05-01T00:00:00Z: "
        f"{len(rates)} rows, complete>"
    )
    assert [(one.provider, one.verification) for one in rates.segments] == [("binance-vision", "checksum")]
    listed = [(one.symbol, one.interval, one.market) for one in held.cache.ls()]
    assert listed == [("BTCUSDT", "fundingRate", "um")]


def test_tables_show_nulls_where_nothing_was_published(held: evercandle.Client) -> None:
    rates = held.funding_rates("BTCUSDT", *SPRING)
    sources = [
        one.provider for one in rates.segments for _ in range(len(rates.between(one.start, one.end)))
    ]
    frame = polars.DataFrame(rates)
    assert frame.columns == COLUMNS and frame.schema["funding_time"] == polars.Datetime("us", "UTC")
    assert frame.schema["interval_hours"] == polars.Int64
    assert frame["mark_price"].to_list() == [rate.mark_price for rate in rates]
    assert frame["interval_hours"].to_list() == [rate.interval_hours for rate in rates]
    # Archives know the interval and not the price, REST the price and not the interval.
    assert frame["mark_price"].is_null().to_list() == [one == "binance-vision" for one in sources]
    assert frame["interval_hours"].is_null().to_list() == [one != "binance-vision" for one in sources]

    table = pyarrow.table(rates)
    assert table.column("interval_hours").null_count == frame["interval_hours"].null_count() > 0
    [(count,)] = duckdb.sql("select count(mark_price) from rates").fetchall()
    assert count == len(rates) - frame["mark_price"].null_count()

    arrays = rates.to_numpy()
    assert arrays["funding_time"].dtype == numpy.dtype("M8[us]")
    assert numpy.isnan(arrays["mark_price"]).tolist() == frame["mark_price"].is_null().to_list()
    assert numpy.isnan(arrays["interval_hours"]).tolist() == frame["interval_hours"].is_null().to_list()

    pandas: Any = rates.to_pandas(source=True)
    assert pandas.index.name == "funding_time" and str(pandas.index.tz) == "UTC"
    assert list(pandas.columns) == [*COLUMNS[1:], "source"] and str(pandas["interval_hours"].dtype) == "Int64"
    assert pandas["funding_rate"].tolist() == arrays["funding_rate"].tolist()
    assert pandas["interval_hours"].isna().tolist() == frame["interval_hours"].is_null().to_list()
    assert pandas["source"].tolist() == sources
    assert rates.to_polars(source=True)["source"].to_list() == sources


def test_rates_are_the_memory_that_the_cache_maps(held: evercandle.Client) -> None:
    rates = held.funding_rates("BTCUSDT", "2024-04-01", "2024-05-01")
    [chunk] = pyarrow.table(rates).column("funding_rate").chunks
    array: Any = rates.to_numpy("funding_rate")
    assert chunk.buffers()[1].address + chunk.offset * 8 == array.__array_interface__["data"][0]
    assert not array.flags.writeable


def test_slices_keep_every_rate_although_rates_come_late_in_their_hour(held: evercandle.Client) -> None:
    rates = held.funding_rates("BTCUSDT", *SPRING)
    for first in range(0, len(rates) - 7, 7):
        assert list(rates[first : first + 7]) == [rates[first + n] for n in range(7)]
    assert list(rates[:]) == list(rates) and rates[-1] == list(rates)[-1] and len(rates[5:5]) == 0


def test_what_nobody_can_tell_is_a_gap_and_the_error_holds_the_rest(client: evercandle.Client, tmp_path: Path) -> None:
    client.funding_rates("BTCUSDT", "2024-04-01", "2024-05-01")
    client.simulator.inject("refuse")
    with pytest.raises(evercandle.IncompleteError) as caught:
        client.funding_rates("BTCUSDT", "2024-04-01", "2024-05-20")
    partial = caught.value.partial
    assert "91 funding rates found" in str(caught.value)
    assert isinstance(partial, FundingRates) and not partial.is_complete
    check(client, partial.between(None, "2024-05-01"))
    best = client.funding_rates("BTCUSDT", "2024-04-01", "2024-05-20", completeness="best_effort")
    assert list(best) == list(partial)
    [gap] = best.gaps
    assert gap.reason == "no_upstream_left" and "binance-vision" in {one.provider for one in gap.tried}
    assert "fundingRate" in caught.value.details["series"]
    page = page_of(best)
    assert "funding_rate" in page and "incomplete" in page and "–" in page
    axes: Any = best.plot()
    assert len(axes.patches) == 1 and "incomplete" in axes.get_title(loc="left")
    axes.figure.savefig(tmp_path / "funding.png")
    assert (tmp_path / "funding.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_is_a_line_through_every_rate(held: evercandle.Client) -> None:
    rates = held.funding_rates("BTCUSDT", "2024-04-01", "2024-05-01")
    axes: Any = rates.plot(title="April")
    assert axes.get_title(loc="left") == "April"
    _, line = axes.lines
    assert line.get_ydata().tolist() == rates.to_numpy("funding_rate").tolist()


@pytest.mark.parametrize(("symbol", "market"), [("BTCUSDT", "spot"), ("BTCUSD_240628", "cm")])
def test_what_has_no_funding_rates_is_refused_by_name(client: evercandle.Client, symbol: str, market: str) -> None:
    with pytest.raises(evercandle.BadRequestError, match="only perpetual futures"):
        client.funding_rates(symbol, *SPRING, market=market)
    assert client.simulator.requests() == []


def test_other_mistakes_are_told_apart(client: evercandle.Client) -> None:
    with pytest.raises(evercandle.UnknownSymbolError):
        client.funding_rates("NOSUCHUSDT", *SPRING)
    with pytest.raises(evercandle.BadRequestError, match="funding_rates"):
        client.get_data("BTCUSDT", "fundingRate", *SPRING, market="um")
    with pytest.raises(evercandle.BadRequestError, match="expected start < end"):
        client.funding_rates("BTCUSDT", "2024-04-02", "2024-04-01")
    with pytest.raises(evercandle.UnavailableError):
        client.funding_rates("BTCUSDT", *SPRING, sources="cache")


def test_funding_rates_can_be_awaited_and_asked_of_the_package() -> None:
    async def work() -> FundingRates:
        async with evercandle.AsyncClient(simulate=evercandle.Simulation(seed=7, now=NOW)) as client:
            return await client.funding_rates("BTCUSDT", "2024-04-01", "2024-05-01")

    awaited = asyncio.run(work())
    assert awaited.is_complete and len(awaited) >= 90
    rates = evercandle.funding_rates("BTCUSDT", "2024-04-01", "2024-05-01", simulate=True)
    assert rates.is_complete and len(rates) >= 90


def test_cached_rates_can_be_evicted(client: evercandle.Client) -> None:
    client.funding_rates("BTCUSDT", "2024-04-01", "2024-05-01")
    assert client.cache.evict("BTCUSDT", "fundingRate", market="um").files >= 1
    assert client.cache.ls() == []
