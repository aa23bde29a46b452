"""What goes wrong, by kind, with what a program needs to know."""

from __future__ import annotations

import json
import pickle
from typing import Any

import evercandle
import pytest

from .conftest import DAY, NOW


def test_every_error_has_one_base_and_plain_details(client: evercandle.Client) -> None:
    client.simulator.inject("refuse", upstream="binance-vision")
    questions: list[tuple[type[evercandle.EvercandleError], Any]] = [
        (evercandle.BadRequestError, lambda: client.get_data("BTCUSDT", "7m", *DAY)),
        (evercandle.BadRequestError, lambda: client.get_data("BTCUSDT", "1m", "2024-04-03", "2024-04-02")),
        (evercandle.BadRequestError, lambda: client.get_data("", "1m", *DAY)),
        (evercandle.BadRequestError, lambda: client.get_data("BTCUSDT", "1m", *DAY, market="options")),
        (evercandle.BadRequestError, lambda: client.get_data("BTCUSDT", "1m", *DAY, deadline=0)),
        (evercandle.BadRequestError, lambda: client.prices([])),
        (evercandle.BadRequestError, lambda: client.get_data(b"BTCUSDT", "1m", *DAY)),  # type: ignore[arg-type]  # pyright: ignore
        (evercandle.UnknownSymbolError, lambda: client.get_data("NOPEUSDT", "1m", *DAY)),
        (evercandle.UnknownSymbolError, lambda: client.price("NOPEUSDT", substitutes=False)),
        (evercandle.ConfigError, lambda: evercandle.Client(settings={"engine": {"attemps": 3}}, simulate=True)),
        (evercandle.ConfigError, lambda: evercandle.Client(config="/nonexistent/config.toml")),
    ]
    for kind, ask in questions:
        with pytest.raises(kind) as caught:
            ask()
        assert isinstance(caught.value, evercandle.EvercandleError)
        assert str(caught.value)
        json.dumps(caught.value.details)


def test_words_that_mean_nothing_are_refused_with_what_was_expected(client: evercandle.Client) -> None:
    wrong: list[dict[str, Any]] = [
        {"completeness": "maybe"},
        {"sources": "rest"},
        {"priority": "high"},
        {"sources": ["nobody"]},
    ]
    for options in wrong:
        with pytest.raises(evercandle.EvercandleError, match="expected|nobody"):
            client.get_data("BTCUSDT", "1m", *DAY, **options)
    with pytest.raises(evercandle.BadRequestError, match="list of symbols"):
        client.prices("BTCUSDT")
    with pytest.raises(evercandle.ConfigError, match="attemps"):
        evercandle.Client(settings={"engine": {"attemps": 3}}, simulate=True)


def test_the_partial_answer_is_in_the_error(client: evercandle.Client) -> None:
    client.get_data("BTCUSDT", "1m", *DAY)
    client.simulator.inject("refuse")
    with pytest.raises(evercandle.IncompleteError) as caught:
        client.get_data("BTCUSDT", "1m", "2024-04-01", "2024-04-03")
    error = caught.value
    assert error.partial is not None and len(error.partial) == 1440
    assert error.details["series"] == "binance/spot/BTCUSDT/1m"
    [gap] = error.details["gaps"]
    assert (gap["start"], gap["end"], gap["slots"]) == ("2024-04-01T00:00:00Z", "2024-04-02T00:00:00Z", 1440)
    assert "binance-vision" in str(error)


def test_limits_say_when_to_ask_again(client: evercandle.Client) -> None:
    client.simulator.inject("rate_limited", retry_after=37)
    with pytest.raises(evercandle.RateLimitedError) as caught:
        client.get_data("BTCUSDT", "1m", *DAY)
    assert isinstance(caught.value, evercandle.UnavailableError)
    assert caught.value.retry_after is not None and 0 < caught.value.retry_after <= 37
    health = client.health()
    assert not health.is_ok and health.providers["binance"].status == "quarantined"
    assert health.providers["binance"].quarantine is not None


def test_an_outage_is_not_called_a_limit(client: evercandle.Client) -> None:
    client.simulator.inject("status", status=503, body="")
    with pytest.raises(evercandle.UnavailableError) as caught:
        client.get_data("BTCUSDT", "1m", *DAY)
    assert not isinstance(caught.value, evercandle.RateLimitedError)
    with pytest.raises(evercandle.NoUpstreamError) as none:
        client.price("BTCUSDT")
    assert {reason["provider"] for reason in none.value.details["reasons"]} >= {"binance"}


def test_a_deadline_is_kept(client: evercandle.Client) -> None:
    client.simulator.inject("black_hole")
    with pytest.raises(evercandle.UnavailableError, match="deadline"):
        client.get_data("BTCUSDT", "1m", *DAY, deadline=0.4)


def test_a_client_that_was_closed_says_so() -> None:
    client = evercandle.Client(simulate=evercandle.Simulation(now=NOW))
    client.close()
    client.close()
    assert client.is_closed
    with pytest.raises(evercandle.ClosedError, match="make a new Client"):
        client.get_data("BTCUSDT", "1m", *DAY)


def test_errors_travel_between_processes_without_their_rows(client: evercandle.Client) -> None:
    client.simulator.inject("refuse")
    with pytest.raises(evercandle.UnavailableError) as caught:
        client.get_data("BTCUSDT", "1m", *DAY)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is type(caught.value) and str(copy) == str(caught.value)
    assert copy.details == caught.value.details and copy.partial is None
    plain = pickle.loads(pickle.dumps(evercandle.BadRequestError("x", {"a": 1})))
    assert plain.details == {"a": 1}
