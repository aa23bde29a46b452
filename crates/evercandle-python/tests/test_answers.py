"""What an answer says: rows equal to the exchange's truth, and their story."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta, timezone

import evercandle
import pytest
from evercandle import Interval, Market

from .conftest import DAY, check

UTC = timezone.utc


@pytest.mark.parametrize(
    ("symbol", "market", "interval", "start", "end"),
    [
        ("BTC/USDT", "spot", "1m", "2024-04-02", "2024-04-03"),
        ("ethusdt", "spot", "1h", "2024-03-01", "2024-04-15"),
        ("BTCUSDT", "um", "15m", "2024-06-10", "2024-06-14T12:00:00"),
        ("BTCUSD_PERP", "cm", "4h", "2024-01-01", "2024-03-01"),
        ("BTCUSDT", "spot", "1s", "2024-06-13T00:00", "2024-06-13T00:10"),
        ("BTCUSDT", "spot", "1d", "2023-01-01", "2024-01-01"),
        ("BTCUSDT", "spot", "1M", "2020-01-01", "2024-01-01"),
        ("BTCUSDT", "spot", "3d", "2024-01-02", "2024-02-02"),
    ],
)
def test_every_row_is_the_truth_to_the_digit_cold_and_warm(
    client: evercandle.Client, symbol: str, market: str, interval: str, start: str, end: str
) -> None:
    cold = client.get_data(symbol, interval, start, end, market=market)
    check(client, cold)
    asked = len(client.simulator.requests())
    warm = client.get_data(symbol, interval, start, end, market=market)
    check(client, warm)
    assert len(client.simulator.requests()) == asked, "the cache was asked, nobody else"
    assert cold.is_complete and warm.is_complete
    assert {segment.via for segment in warm.segments} == {"cache"}


def test_an_answer_says_what_it_is(client: evercandle.Client) -> None:
    klines = client.get_data("BTC/USDT", Interval.M1, *DAY, market=Market.SPOT, priority="bulk")
    assert (klines.exchange, klines.market, klines.symbol, klines.interval) == ("binance", "spot", "BTCUSDT", "1m")
    assert klines.start == datetime(2024, 4, 2, tzinfo=UTC)
    assert klines.end == datetime(2024, 4, 3, tzinfo=UTC)
    assert klines.shape == (1440, 11)
    assert klines.units == ("base", "quote")
    assert klines.gaps == [] and klines.notices == []
    [segment] = klines.segments
    assert (segment.provider, segment.via, segment.verification) == ("binance-vision", "upstream", "checksum")
    assert segment.sha256 is not None and len(segment.sha256) == 64
    assert [attempt.provider for attempt in klines.trail if attempt.outcome == "rows"] == ["binance-vision"]
    assert repr(klines) == (
        "<Klines binance spot BTCUSDT 1m, 2024-04-02T00:00:00Z to 2024-04-03T00:00:00Z: 1,440 rows, complete>"
    )


def test_without_an_end_it_is_now_and_only_closed_klines_count(client: evercandle.Client) -> None:
    klines = client.get_data("BTCUSDT", "1m", "2024-06-14T11:30")
    assert klines[-1].open_time == datetime(2024, 6, 14, 11, 59, tzinfo=UTC)
    forming = client.get_data("BTCUSDT", "1m", "2024-06-14T11:30", forming=True)
    assert forming[-1].open_time == datetime(2024, 6, 14, 12, 0, tzinfo=UTC)
    assert forming.segments[-1].verification == "unsettled"


def test_a_halt_is_a_gap_with_its_reason_and_no_error(client: evercandle.Client) -> None:
    client.simulator.halt("2024-05-28T02:00", "2024-05-28T04:10")
    klines = client.get_data("BTCUSDT", "1m", "2024-05-28", "2024-05-29")
    [gap] = klines.gaps
    assert (gap.slots, gap.final) == (130, True)
    assert gap.start == datetime(2024, 5, 28, 2, tzinfo=UTC)
    assert klines.is_complete and len(klines) == 1440 - 130
    check(client, klines)


def test_before_the_listing_there_is_nothing_and_it_is_said(client: evercandle.Client) -> None:
    klines = client.get_data("BTCUSDT", "1d", "2017-01-01", "2018-01-01")
    assert [gap.reason for gap in klines.gaps] == ["before_listing"]
    assert len(klines) + klines.gaps[0].slots == 365


def test_an_outage_is_answered_from_the_cache_and_then_told(client: evercandle.Client) -> None:
    client.get_data("BTCUSDT", "1m", *DAY)
    client.simulator.inject("refuse")
    check(client, client.get_data("BTCUSDT", "1m", *DAY))
    with pytest.raises(evercandle.IncompleteError) as caught:
        client.get_data("BTCUSDT", "1m", "2024-04-02T12:00", "2024-04-03T12:00")
    partial = caught.value.partial
    assert isinstance(partial, evercandle.Klines) and len(partial) == 720 and not partial.is_complete
    check(client, partial.between(None, "2024-04-03"))
    best = client.get_data("BTCUSDT", "1m", "2024-04-02T12:00", "2024-04-03T12:00", completeness="best_effort")
    assert len(best) == 720
    [gap] = best.gaps
    assert gap.reason == "no_upstream_left" and {tried.provider for tried in gap.tried} == {"binance", "binance-vision"}


def test_sources_say_who_may_be_asked(client: evercandle.Client) -> None:
    with pytest.raises(evercandle.UnavailableError):
        client.get_data("BTCUSDT", "1m", *DAY, sources="cache")
    assert client.simulator.requests("klines") == []
    klines = client.get_data("BTCUSDT", "1m", *DAY, sources=["binance"])
    assert {segment.provider for segment in klines.segments} == {"binance"}
    assert len(client.get_data("BTCUSDT", "1m", *DAY, sources="cache")) == 1440


def test_what_has_not_closed_is_a_gap_that_ends_when_it_closes(client: evercandle.Client) -> None:
    klines = client.get_data("BTCUSDT", "1h", "2024-06-14T10:00", "2024-06-14T14:00")
    [gap] = klines.gaps
    assert (len(klines), gap.slots, gap.reason) == (2, 2, "not_yet_closed")
    assert gap.final and klines.is_complete
    client.simulator.advance(timedelta(hours=3))
    later = client.get_data("BTCUSDT", "1h", "2024-06-14T10:00", "2024-06-14T14:00")
    assert len(later) == 4 and later.gaps == []


def test_an_answer_is_its_own_copy(stored: evercandle.Client) -> None:
    klines = stored.get_data("BTCUSDT", "1m", "2024-03-31", "2024-04-02")
    assert copy.copy(klines) is klines and copy.deepcopy([klines])[0] is klines


def test_rows_one_by_one_and_slices_with_their_own_story(stored: evercandle.Client) -> None:
    klines = stored.get_data("BTCUSDT", "1m", "2024-03-31", "2024-04-02")
    assert klines[0].open_time == datetime(2024, 3, 31, tzinfo=UTC)
    assert klines[-1].open_time == datetime(2024, 4, 1, 23, 59, tzinfo=UTC)
    assert [row.open_time for row in klines[1438:1442]] == [
        datetime(2024, 3, 31, 23, 58, tzinfo=UTC) + timedelta(minutes=n) for n in range(4)
    ]
    part = klines[1438:1442]
    assert [len(part.between(one.start, one.end)) for one in part.segments] == [2, 2]
    assert (part.start, part.end) == (klines[1438].open_time, klines[1442].open_time)
    assert len(klines[5:5]) == 0 and len(klines[:]) == len(klines)
    assert klines[2000].close == klines.to_numpy("close")[2000]
    with pytest.raises(IndexError):
        klines[2880]
    with pytest.raises(evercandle.BadRequestError, match="step 2"):
        klines[::2]


def test_the_packages_functions_simulate_too() -> None:
    klines = evercandle.get_data("BTCUSDT", "1h", "2024-01-01", "2024-01-02", simulate=True)
    assert len(klines) == 24
    assert evercandle.price("BTCUSDT", simulate=True).is_live
    assert evercandle.health(simulate=True).is_ok
