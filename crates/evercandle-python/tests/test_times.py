"""Moments and intervals, in the ways people write them."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any

import evercandle
import numpy
import pandas
import polars
import pytest
from evercandle.vocabulary import micros_of

MOMENT = datetime(2024, 4, 2, 1, 30, tzinfo=timezone.utc)
MICROS = 1_712_021_400_000_000


@pytest.mark.parametrize(
    "written",
    [
        MOMENT,
        MOMENT.replace(tzinfo=None),
        MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30))),
        "2024-04-02T01:30:00Z",
        "2024-04-02T01:30",
        "2024-04-02 01:30:00",
        "2024-04-02T03:30:00+02:00",
        " 2024-04-02T01:30:00.000000Z ",
        pandas.Timestamp("2024-04-02T01:30:00Z"),
        pandas.Timestamp("2024-04-02T01:30:00"),
        pandas.Timestamp("2024-04-02T03:30:00", tz="Europe/Berlin"),
        polars.Series([MOMENT]).item(),
        numpy.datetime64("2024-04-02T01:30:00"),
        numpy.datetime64("2024-04-02T01:30:00.000", "ms"),
    ],
)
def test_a_moment_is_understood_however_it_is_written(written: Any) -> None:
    assert micros_of(written) == MICROS


def test_a_date_is_its_midnight_in_utc() -> None:
    midnight = micros_of(datetime(2024, 4, 2, tzinfo=timezone.utc))
    assert micros_of(date(2024, 4, 2)) == micros_of("2024-04-02") == midnight
    assert micros_of(numpy.datetime64("2024-04-02")) == midnight


def test_numbers_count_what_unit_says() -> None:
    seconds = MICROS // 1_000_000
    assert micros_of(seconds, "s") == micros_of(seconds * 1_000, "ms") == micros_of(MICROS, "us") == MICROS
    assert micros_of(MICROS * 1_000 + 999, "ns") == MICROS
    assert micros_of(numpy.int64(seconds), "s") == MICROS


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (1_712_021_400_000, 'with unit="s"'),
        ("soon", "ISO 8601"),
        ("", "ISO 8601"),
        ("2024-02-30", "ISO 8601"),
        (None, "NoneType"),
        (True, "bool"),
        (1.5, "float"),
        (pandas.NaT, "NaT"),
        (numpy.datetime64("NaT", "us"), "NaT"),
        (timedelta(days=1), "timedelta"),
    ],
)
def test_what_is_no_moment_is_refused_and_named(wrong: Any, told: str) -> None:
    with pytest.raises(evercandle.BadRequestError, match=told) as caught:
        micros_of(wrong, name="start")
    assert "start" in str(caught.value)


def test_an_unknown_unit_is_refused_and_a_wrong_one_suspected() -> None:
    with pytest.raises(evercandle.BadRequestError, match="is the unit right"):
        micros_of(MICROS, "s")
    unit: Any = "minutes"
    with pytest.raises(evercandle.BadRequestError, match="minutes"):
        micros_of(1, unit)


def test_all_ways_lead_to_the_same_rows(stored: evercandle.Client) -> None:
    expected = stored.get_data("BTCUSDT", "1m", "2024-04-02", "2024-04-03").to_polars()
    ways: list[tuple[Any, Any, Any]] = [
        (date(2024, 4, 2), date(2024, 4, 3), None),
        (pandas.Timestamp("2024-04-02"), pandas.Timestamp("2024-04-03", tz="UTC"), None),
        (1_712_016_000, 1_712_102_400, "s"),
        (numpy.datetime64("2024-04-02"), datetime(2024, 4, 3), None),
    ]
    for start, end, unit in ways:
        assert stored.get_data("BTCUSDT", evercandle.Interval.M1, start, end, unit=unit).to_polars().equals(expected)


def test_intervals_are_the_exchanges_words() -> None:
    assert str(evercandle.Interval.M1) == "1m" and str(evercandle.Interval.MO1) == "1M"
    assert evercandle.Interval("1M") is evercandle.Interval.MO1
    assert evercandle.Interval.H4.nominal == timedelta(hours=4)
    assert len(evercandle.Interval) == 16


def test_a_time_whose_zone_says_nothing_is_utc() -> None:
    """Python calls it naive: https://docs.python.org/3/library/datetime.html#determining-if-an-object-is-aware-or-naive."""

    class Nowhere(tzinfo):
        def utcoffset(self, dt: datetime | None) -> timedelta | None:
            return None

        dst = utcoffset

        def tzname(self, dt: datetime | None) -> str | None:
            return None

    moment = datetime(2024, 1, 31, 12)
    assert micros_of(moment.replace(tzinfo=Nowhere())) == micros_of(moment)
