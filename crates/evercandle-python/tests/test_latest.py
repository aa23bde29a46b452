"""Prices and sentiment: a number plus how far it can be trusted."""

from __future__ import annotations

import evercandle

from .conftest import NOW


def test_a_price_is_the_exchanges_and_says_how_old(client: evercandle.Client) -> None:
    price = client.price("BTC/USDT")
    assert price.is_live and (price.state, price.nature) == ("live", "exchange")
    assert price.price == float(price.text) and price.symbol == "BTCUSDT" and price.market == "spot"
    assert price.high is not None and price.low is not None and price.low <= price.price <= price.high
    assert price.as_of.tzinfo is not None and price.age_seconds < 60


def test_a_substitute_is_called_one(client: evercandle.Client) -> None:
    for upstream in ("binance-spot", "binance-market-data"):
        client.simulator.inject("refuse", upstream=upstream)
    price = client.price("BTCUSDT")
    assert price.nature == "substitute" and price.provider == "coingecko" and not price.is_live
    assert price.substitute is not None and "bitcoin" in price.substitute


def test_several_prices_come_with_those_that_are_missing() -> None:
    with evercandle.Client(simulate=evercandle.Simulation(seed=7, now=NOW)) as client:
        answer = client.prices(["ETHUSDT", "NOPEUSDT", "BTCUSDT"])
    assert [one.symbol for one in answer.prices] == ["ETHUSDT", "BTCUSDT"]
    [missing] = answer.missing
    assert missing.symbol == "NOPEUSDT" and missing.unknown and missing.reasons


def test_a_sentiment_is_labelled_as_what_it_is(client: evercandle.Client) -> None:
    sentiment = client.sentiment(count=3)
    assert sentiment.measure == "fear_and_greed" and sentiment.is_primary
    assert 0 <= sentiment.value <= 100 and len(sentiment.readings) == 3 and sentiment.classification
    assert sentiment.readings[0].at > sentiment.readings[1].at
    client.simulator.inject("refuse", upstream="alternative-me")
    with evercandle.Client(simulate=evercandle.Simulation(seed=7, now=NOW)) as other:
        other.simulator.inject("refuse", upstream="alternative-me")
        assert not other.sentiment().is_primary
