"""Questions in the engine's terms: made of what callers pass, asked by whoever waits or awaits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, Union

from .arguments import flag_of, market_of, seconds_of, span_of, symbol_of, texts_of, whole_of, word_of
from .awaiting import answer
from .latest import Price, Prices, Sentiment, price_of, prices_of, sentiment_of
from .upstreams import Health, health_of
from .vocabulary import Market, TimeLike, Unit, micros_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._native import Client as NativeClient, Klines as NativeRows

T = TypeVar("T")

Completeness = Literal["required", "best_effort"]
Sources = Union[Literal["all", "cache"], Iterable[str]]


class Question(Generic[T]):
    """What the native client is asked, by the method of this name, or by ``start_`` and this name; and what is made of its
    answer."""

    __slots__ = ("_name", "_read", "_terms")

    def __init__(self, name: str, terms: tuple[object, ...], read: Callable[[Any], T]) -> None:
        self._name = name
        self._terms = terms
        self._read = read

    def ask(self, native: NativeClient) -> T:
        """Waits for the answer."""
        return self._read(getattr(native, self._name)(*self._terms))

    async def ask_awaited(self, native: NativeClient) -> T:
        """Waits for the answer without holding up the loop."""
        start = getattr(native, f"start_{self._name}")
        return self._read(await answer(lambda done: start(done, *self._terms)))


def rows(
    kind: Callable[[NativeRows], T],
    symbol: str,
    label: str,
    start: TimeLike,
    end: TimeLike | None,
    market: Market | str,
    completeness: Completeness,
    sources: Sources,
    forming: bool,
    deadline: float | timedelta | None,
    priority: Literal["interactive", "bulk"],
    unit: Unit | None,
) -> Question[T]:
    """See ``Client.get_data``. ``label``: what the rows are, in the exchange's words: an interval, or ``fundingRate``."""
    first, last = (micros_of(start, unit, "start"), None) if end is None else span_of(start, end, unit)
    named = isinstance(sources, str) and sources in ("all", "cache")
    wanted: dict[str, object] = {
        "symbol": symbol_of(symbol),
        "interval": label,
        "market": market_of(market),
        "start": first,
        "end": last,
        "best_effort": word_of(completeness, "completeness", "required", "best_effort") == "best_effort",
        "cache_only": named and sources == "cache",
        "sources": [] if named else texts_of(sources, "sources", '"all", "cache" or a list of providers\' names'),
        "forming": flag_of(forming, "forming"),
        "bulk": word_of(priority, "priority", "interactive", "bulk") == "bulk",
        "deadline": seconds_of(deadline),
    }
    return Question("get_data", (wanted,), kind)


def price(
    symbol: str, market: Market | str, substitutes: bool, deadline: float | timedelta | None
) -> Question[Price]:
    """See ``Client.price``."""
    wanted = _prices([symbol_of(symbol)], market, substitutes, deadline, alone=True)
    return Question("prices", (wanted,), lambda told: price_of(_read(told)))


def prices(
    symbols: Iterable[str], market: Market | str, substitutes: bool, deadline: float | timedelta | None
) -> Question[Prices]:
    """See ``Client.prices``."""
    wanted = _prices(symbols, market, substitutes, deadline, alone=False)
    return Question("prices", (wanted,), lambda told: prices_of(_read(told)))


def _prices(
    symbols: Iterable[str],
    market: Market | str,
    substitutes: bool,
    deadline: float | timedelta | None,
    *,
    alone: bool,
) -> dict[str, object]:
    return {
        "symbols": texts_of(symbols, "symbols", "a list of symbols"),
        "market": market_of(market),
        "substitutes": flag_of(substitutes, "substitutes"),
        "deadline": seconds_of(deadline),
        "alone": alone,
    }


def sentiment(count: int, secondary: bool, deadline: float | timedelta | None) -> Question[Sentiment]:
    """See ``Client.sentiment``."""
    terms = (whole_of(count, "count", 1, 2**32 - 1), flag_of(secondary, "secondary"), seconds_of(deadline))
    return Question("sentiment", terms, lambda told: sentiment_of(_read(told)))


def health(probe: bool) -> Question[Health]:
    """See ``Client.health``."""
    return Question("health", (flag_of(probe, "probe"),), lambda told: health_of(_read(told)))


def _read(told: str) -> Any:
    import json

    return json.loads(told)
