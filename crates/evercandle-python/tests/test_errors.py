"""What goes wrong, by kind, with what a program needs to know."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from typing import Any

import evercandle
import pytest

from evercandle._native import DEBUG  # pyright: ignore[reportPrivateUsage]
from evercandle.awaiting import answer
from evercandle.bulk import download, order

from .conftest import DAY, NOW


def every_kind(base: type[evercandle.EvercandleError] = evercandle.EvercandleError) -> list[Any]:
    public = [base] if base.__name__ in evercandle.__all__ else []
    return public + [kind for one in base.__subclasses__() for kind in every_kind(one)]


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


def test_a_limit_is_still_one_for_those_who_ask_while_it_lasts(client: evercandle.Client) -> None:
    client.simulator.inject("rate_limited", retry_after=37)
    for _ in range(2):
        with pytest.raises(evercandle.RateLimitedError) as caught:
            client.get_data("BTCUSDT", "1m", *DAY)
        assert caught.value.retry_after is not None and 0 < caught.value.retry_after <= 37


def test_while_circuits_rest_it_is_told_for_how_long(client: evercandle.Client) -> None:
    client.get_data("BTCUSDT", "1m", *DAY)
    client.simulator.inject("status", status=503, body="")
    for _ in range(5):
        with pytest.raises(evercandle.UnavailableError):
            client.get_data("BTCUSDT", "1h", *DAY)
    assert client.health().providers["binance"].circuit == "open"
    with pytest.raises(evercandle.UnavailableError, match="circuit open") as caught:
        client.get_data("BTCUSDT", "1h", *DAY)
    assert not isinstance(caught.value, evercandle.RateLimitedError)
    assert caught.value.retry_after is not None and caught.value.retry_after > 0
    with pytest.raises(evercandle.IncompleteError) as incomplete:
        client.get_data("BTCUSDT", "1m", "2024-04-01", "2024-04-03")
    assert incomplete.value.retry_after is not None and incomplete.value.retry_after > 0


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


@pytest.mark.skipif(not DEBUG, reason="what is shipped has no question that panics")
def test_a_mistake_of_the_engine_is_an_error_like_others(
    client: evercandle.Client, capfd: pytest.CaptureFixture[str]
) -> None:
    """Goal: nobody waits for ever, and ``except EvercandleError`` catches what went wrong, when the engine panics.
    Method: the native client has a question that panics, and a download is given it instead of its own."""
    native: Any = client._native  # pyright: ignore[reportPrivateUsage]

    def told(error: BaseException | None) -> None:
        assert isinstance(error, evercandle.InternalError) and error.details == {"panic": "asked to, by a test"}
        assert "report" in str(error)

    with pytest.raises(evercandle.EvercandleError) as caught:
        native.blunder()
    told(caught.value)

    async def wait() -> None:
        with pytest.raises(evercandle.EvercandleError) as caught:
            await asyncio.wait_for(answer(native.start_blunder), 10)
        told(caught.value)

    asyncio.run(wait())

    class Blundering:
        def __getattr__(self, name: str) -> Any:
            return getattr(native, name)

        def start_get_data(self, done: Any, wanted: object) -> Any:
            return native.start_blunder(done)

    stand_in: Any = Blundering()
    [report] = download(stand_in, order(stand_in, "BTCUSDT", "1h", *DAY, "spot", False, 1, None)).series
    told(report.error)
    assert "panicked" in capfd.readouterr().err
    assert len(client.get_data("BTCUSDT", "1h", *DAY)) == 24


def test_errors_are_copied_with_everything(client: evercandle.Client) -> None:
    client.get_data("BTCUSDT", "1m", *DAY)
    client.simulator.inject("rate_limited", retry_after=37)
    with pytest.raises(evercandle.IncompleteError) as caught:
        client.get_data("BTCUSDT", "1m", "2024-04-01", "2024-04-03")
    error = caught.value
    error.add_note("seen") if hasattr(error, "add_note") else None
    for copied in (copy.copy(error), copy.deepcopy(error)):
        assert type(copied) is type(error) and str(copied) == str(error) and copied.details == error.details
        assert copied.partial is not None and len(copied.partial) == 1440
        assert copied.retry_after == error.retry_after is not None
        assert vars(copied).keys() == vars(error).keys()
    assert copy.deepcopy(error).details is not error.details
    sent = pickle.loads(pickle.dumps(error))
    assert sent.details == error.details and sent.retry_after == error.retry_after and sent.partial is None
    with pytest.raises(TypeError, match="to_arrow"):
        pickle.dumps(error.partial)


@pytest.mark.parametrize("kind", every_kind())
def test_every_kind_of_error_survives_copies_and_journeys(kind: type[evercandle.EvercandleError]) -> None:
    error = kind("what, where, why", {"retry_after": 3, "reasons": ["x"]})
    for other in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert type(other) is kind and str(other) == "what, where, why"
        assert other.details == error.details and other.retry_after == 3


def test_errors_travel_between_processes_without_their_rows(client: evercandle.Client) -> None:
    client.simulator.inject("refuse")
    with pytest.raises(evercandle.UnavailableError) as caught:
        client.get_data("BTCUSDT", "1m", *DAY)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is type(caught.value) and str(copy) == str(caught.value)
    assert copy.details == caught.value.details and copy.partial is None
    plain = pickle.loads(pickle.dumps(evercandle.BadRequestError("x", {"a": 1})))
    assert plain.details == {"a": 1}
