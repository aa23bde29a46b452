"""Clients: whoever asks."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Union

from ._native import Client as NativeClient
from .arguments import (
    flag_of,
    interval_of,
    market_of,
    path_of,
    seconds_of,
    span_of,
    symbol_of,
    text_of,
    texts_of,
    whole_of,
    word_of,
    wrong,
)
from .awaiting import answer
from .bulk import DownloadReport, download as download_all, download_awaited, order
from .cache import AsyncCache, Cache, whereabouts
from .errors import BadRequestError
from .funding import FundingRates
from .klines import Klines
from .latest import Price, Prices, Sentiment, price_of, prices_of, sentiment_of
from .simulator import Simulation, Simulator, terms_of
from .upstreams import Health, health_of
from .vocabulary import FUNDING_RATES, Interval, Market, TimeLike, Unit, datetime_of, is_unicode, micros_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

Completeness = Literal["required", "best_effort"]
Sources = Union[Literal["all", "cache"], Iterable[str]]


def _rows_wanted(
    symbol: str,
    label: str,
    start: TimeLike,
    end: TimeLike | None,
    *,
    market: Market | str,
    completeness: Completeness,
    sources: Sources,
    forming: bool = False,
    deadline: float | timedelta | None,
    priority: Literal["interactive", "bulk"],
    unit: Unit | None,
) -> dict[str, object]:
    first, last = (micros_of(start, unit, "start"), None) if end is None else span_of(start, end, unit)
    named = isinstance(sources, str) and sources in ("all", "cache")
    return {
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


def _prices_wanted(
    symbols: Iterable[str],
    market: Market | str,
    substitutes: bool,
    deadline: float | timedelta | None,
    alone: bool,
) -> dict[str, object]:
    return {
        "symbols": texts_of(symbols, "symbols", "a list of symbols"),
        "market": market_of(market),
        "substitutes": flag_of(substitutes, "substitutes"),
        "deadline": seconds_of(deadline),
        "alone": alone,
    }


def _sentiment_wanted(
    count: int, secondary: bool, deadline: float | timedelta | None
) -> tuple[int, bool, float | None]:
    return whole_of(count, "count", 1, 2**32 - 1), flag_of(secondary, "secondary"), seconds_of(deadline)


def _price(told: str) -> Price:
    import json

    return price_of(json.loads(told))


def _prices(told: str) -> Prices:
    import json

    return prices_of(json.loads(told))


def _sentiment(told: str) -> Sentiment:
    import json

    return sentiment_of(json.loads(told))


def _health(told: str) -> Health:
    import json

    return health_of(json.loads(told))


def _open(
    cache_dir: str | PathLike[str] | None,
    config: str | PathLike[str] | None,
    settings: Mapping[str, object] | None,
    simulate: bool | Simulation,
) -> NativeClient:
    folder = path_of(cache_dir, "cache_dir")
    if folder is not None and not is_unicode(folder):
        raise wrong("cache_dir", cache_dir, "a path in UTF-8")
    simulation = None
    if isinstance(simulate, Simulation):
        simulation = terms_of(simulate)
    elif flag_of(simulate, "simulate"):
        simulation = terms_of(Simulation())
    return NativeClient(path_of(config, "config"), _settings(settings, folder), simulation)


def _settings(settings: Mapping[str, object] | None, cache_dir: str | None) -> str | None:
    """Settings as JSON; which there are, and what they take, the engine knows."""
    expected = 'a dictionary such as {"engine": {"deadline_ms": 5000}}'
    if settings is not None and not isinstance(settings, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise wrong("settings", settings, expected)
    changed: dict[str, Any] = dict(settings or {})
    if cache_dir is not None:
        of_cache = changed.get("cache", {})
        if not isinstance(of_cache, Mapping):
            raise wrong('settings["cache"]', of_cache, "a dictionary")
        changed["cache"] = {**of_cache, "dir": cache_dir}
    if not changed:
        return None
    import json

    try:
        text = json.dumps(changed, default=os.fspath, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise BadRequestError(f"settings: {error}: expected texts, numbers, True, False, None, lists, dictionaries") from None
    if not is_unicode(text):
        raise BadRequestError(f"settings: {text!a}: expected texts in UTF-8")
    return text


class _Opened:
    """What both kinds of client are made of."""

    def __init__(
        self,
        *,
        cache_dir: str | PathLike[str] | None = None,
        config: str | PathLike[str] | None = None,
        settings: Mapping[str, object] | None = None,
        simulate: bool | Simulation = False,
    ) -> None:
        self._native = _open(cache_dir, config, settings, simulate)

    @property
    def simulator(self) -> Simulator:
        """The remote control of the simulated internet; only with ``simulate``."""
        native = self._native.simulator()
        if native is None:
            raise BadRequestError("this client simulates nothing: expected Client(simulate=True)")
        return Simulator(native)

    @property
    def config(self) -> str:
        """The whole configuration in force, as TOML; keys are not in it."""
        return self._native.config()

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._native.is_closed()

    def now(self) -> datetime:
        """What time it is, as the client sees it; UTC."""
        return datetime_of(self._native.now())

    def control(self, provider: str, how: Literal["force_open", "force_closed", "reset"]) -> None:
        """Sets the circuit breaker of an upstream by hand. ``force_open``: nothing is sent to it; ``reset``: as after
        a restart, quarantine lifted."""
        self._native.control(text_of(provider, "provider"), word_of(how, "how", "force_open", "force_closed", "reset"))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {whereabouts(self._native)}>"


# Who is told of a wrong parameter knows no other name.
_Opened.__init__.__qualname__ = "Client"


class Client(_Opened):
    """Asks for market data, and waits for the answer.

    ``cache_dir``: where the cache is, instead of where configuration and environment say. ``config``: a TOML file.
    ``settings``: single settings laid over it, as ``{"engine": {"deadline_ms": 5000}}``. ``simulate``: a pretend internet
    and a temporary cache instead of the real ones (unless ``cache_dir`` says otherwise).

    Any number of threads may share one; while a call waits, other Python threads run, and Ctrl-C ends it within a
    twentieth of a second. Clients share one pool of native threads per process. Those do not survive a fork: in a
    forked child a client made before raises :class:`ForkError`, and a new one works. (The functions of the package make
    their own as needed, so they work anywhere.)

    Use it in a ``with`` statement, or call :meth:`close`.
    """

    @property
    def cache(self) -> Cache:
        """The local cache: list, measure, verify, make smaller."""
        return Cache(self._native)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Waits until what was learnt is on disk, and lets go of everything. Tables that were made stay valid.

        Another thread's question that is under way is answered as it would have been; its download asks nothing more and
        raises :class:`ClosedError`, and what was fetched is kept.
        """
        self._native.close()

    def get_data(
        self,
        symbol: str,
        interval: Interval | str,
        start: TimeLike,
        end: TimeLike | None = None,
        *,
        market: Market | str = "spot",
        completeness: Completeness = "required",
        sources: Sources = "all",
        forming: bool = False,
        deadline: float | timedelta | None = None,
        priority: Literal["interactive", "bulk"] = "interactive",
        unit: Unit | None = None,
    ) -> Klines:
        """Klines that open from ``start`` to before ``end`` (default: now): from the cache, else archives, else REST.

        ``symbol``: ``BTCUSDT``, ``btcusdt``, ``BTC/USDT``; ``interval``: ``1s`` to ``1M``, or an :class:`Interval`.
        ``market``: ``spot``, ``um`` or ``cm``; it is not told from the symbol (``BTC/USDT:USDT`` needs ``um``).
        ``start``, ``end``: anything that is a moment; what has no zone is UTC; bare numbers need ``unit``.
        ``completeness``: whether an incomplete answer is an error (``required``) or an answer (``best_effort``); when
        nothing at all could be had, it is an error either way.
        ``sources``: ``all``, ``cache`` (nothing is sent) or names of providers (``["binance"]``; the cache is not read).
        ``forming``: the kline in progress too, in an ``unsettled`` segment. ``deadline``: seconds for the whole answer;
        without it, the time is renewed as long as klines arrive. ``priority``: ``bulk`` leaves quota to others.

        Raises :class:`IncompleteError` and :class:`UnavailableError` (``partial`` holds what was found),
        :class:`RateLimitedError`, :class:`UnknownSymbolError`, :class:`BadRequestError`.
        """
        wanted = _rows_wanted(
            symbol,
            interval_of(interval).value,
            start,
            end,
            market=market,
            completeness=completeness,
            sources=sources,
            forming=forming,
            deadline=deadline,
            priority=priority,
            unit=unit,
        )
        return Klines(self._native.get_data(wanted))

    def funding_rates(
        self,
        symbol: str,
        start: TimeLike,
        end: TimeLike | None = None,
        *,
        market: Market | str = "um",
        completeness: Completeness = "required",
        sources: Sources = "all",
        deadline: float | timedelta | None = None,
        priority: Literal["interactive", "bulk"] = "interactive",
        unit: Unit | None = None,
    ) -> FundingRates:
        """Funding rates settled in the hours from ``start`` to before ``end`` (default: now): from the cache, else
        archives, else REST. ``market``: ``um`` or ``cm``; only perpetual futures have them.

        The rest is as for :meth:`get_data`, and so are the errors.
        """
        wanted = _rows_wanted(
            symbol,
            FUNDING_RATES,
            start,
            end,
            market=market,
            completeness=completeness,
            sources=sources,
            deadline=deadline,
            priority=priority,
            unit=unit,
        )
        return FundingRates(self._native.get_data(wanted))

    def price(
        self,
        symbol: str,
        *,
        market: Market | str = "spot",
        substitutes: bool = True,
        deadline: float | timedelta | None = None,
    ) -> Price:
        """The newest price: from the exchange, else another instrument's, labelled (unless ``substitutes=False``), else
        the last known one, with its age.

        Raises :class:`UnknownSymbolError`; :class:`NoUpstreamError` when nothing young enough was known.
        """
        return _price(self._native.prices(_prices_wanted([symbol_of(symbol)], market, substitutes, deadline, True)))

    def prices(
        self,
        symbols: Iterable[str],
        *,
        market: Market | str = "spot",
        substitutes: bool = True,
        deadline: float | timedelta | None = None,
    ) -> Prices:
        """The newest prices, in as few calls as possible; those that cannot be had are in ``missing``, with reasons."""
        return _prices(self._native.prices(_prices_wanted(symbols, market, substitutes, deadline, False)))

    def sentiment(
        self, *, count: int = 1, secondary: bool = True, deadline: float | timedelta | None = None
    ) -> Sentiment:
        """How the market feels: the Fear & Greed Index, ``count`` readings of it; else another measure, labelled as what
        it is (unless ``secondary=False``); else the last known reading.

        Raises :class:`NoUpstreamError` when nothing young enough was known. There is no neutral default.
        """
        return _sentiment(self._native.sentiment(*_sentiment_wanted(count, secondary, deadline)))

    def health(self, *, probe: bool = False) -> Health:
        """How every upstream is doing, as far as was learnt; ``probe`` asks each that may be called first."""
        return _health(self._native.health(flag_of(probe, "probe")))

    def download(
        self,
        symbols: str | Iterable[str],
        intervals: Interval | str | Iterable[Interval | str],
        start: TimeLike,
        end: TimeLike | None = None,
        *,
        market: Market | str = "spot",
        progress: bool = True,
        jobs: int = 4,
        unit: Unit | None = None,
    ) -> DownloadReport:
        """Fills the cache: every symbol in every interval, from ``start`` to before ``end`` (default: now).

        What is held is not asked for again, so doing it again goes on where it stopped. ``progress``: a bar, in terminals
        and notebooks (tqdm's, where it is installed). ``jobs``: series and stretches at once. Never raises for what could
        not be had: the report says it, series by series.
        """
        return download_all(self._native, order(self._native, symbols, intervals, start, end, market, progress, jobs, unit))


class AsyncClient(_Opened):
    """As :class:`Client`, for asyncio: every question is awaited. Cancelling one, or ending the loop, stops the waiting at
    once; what was being fetched is still stored."""

    @property
    def cache(self) -> AsyncCache:
        """The local cache: list, measure, verify, make smaller; all but its path is awaited."""
        return AsyncCache(Cache(self._native))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Waits until what was learnt is on disk, and lets go of everything. Tables that were made stay valid; questions and
        downloads under way end with :class:`ClosedError`, and what was fetched is kept."""
        import asyncio

        await asyncio.get_running_loop().run_in_executor(None, self._native.close)

    async def get_data(
        self,
        symbol: str,
        interval: Interval | str,
        start: TimeLike,
        end: TimeLike | None = None,
        *,
        market: Market | str = "spot",
        completeness: Completeness = "required",
        sources: Sources = "all",
        forming: bool = False,
        deadline: float | timedelta | None = None,
        priority: Literal["interactive", "bulk"] = "interactive",
        unit: Unit | None = None,
    ) -> Klines:
        """See :meth:`Client.get_data`."""
        wanted = _rows_wanted(
            symbol,
            interval_of(interval).value,
            start,
            end,
            market=market,
            completeness=completeness,
            sources=sources,
            forming=forming,
            deadline=deadline,
            priority=priority,
            unit=unit,
        )
        return Klines(await answer(lambda done: self._native.start_get_data(done, wanted)))

    async def funding_rates(
        self,
        symbol: str,
        start: TimeLike,
        end: TimeLike | None = None,
        *,
        market: Market | str = "um",
        completeness: Completeness = "required",
        sources: Sources = "all",
        deadline: float | timedelta | None = None,
        priority: Literal["interactive", "bulk"] = "interactive",
        unit: Unit | None = None,
    ) -> FundingRates:
        """See :meth:`Client.funding_rates`."""
        wanted = _rows_wanted(
            symbol,
            FUNDING_RATES,
            start,
            end,
            market=market,
            completeness=completeness,
            sources=sources,
            deadline=deadline,
            priority=priority,
            unit=unit,
        )
        return FundingRates(await answer(lambda done: self._native.start_get_data(done, wanted)))

    async def price(
        self,
        symbol: str,
        *,
        market: Market | str = "spot",
        substitutes: bool = True,
        deadline: float | timedelta | None = None,
    ) -> Price:
        """See :meth:`Client.price`."""
        wanted = _prices_wanted([symbol_of(symbol)], market, substitutes, deadline, True)
        return _price(await answer(lambda done: self._native.start_prices(done, wanted)))

    async def prices(
        self,
        symbols: Iterable[str],
        *,
        market: Market | str = "spot",
        substitutes: bool = True,
        deadline: float | timedelta | None = None,
    ) -> Prices:
        """See :meth:`Client.prices`."""
        wanted = _prices_wanted(symbols, market, substitutes, deadline, False)
        return _prices(await answer(lambda done: self._native.start_prices(done, wanted)))

    async def sentiment(
        self, *, count: int = 1, secondary: bool = True, deadline: float | timedelta | None = None
    ) -> Sentiment:
        """See :meth:`Client.sentiment`."""
        wanted = _sentiment_wanted(count, secondary, deadline)
        return _sentiment(await answer(lambda done: self._native.start_sentiment(done, *wanted)))

    async def health(self, *, probe: bool = False) -> Health:
        """See :meth:`Client.health`."""
        wanted = flag_of(probe, "probe")
        return _health(await answer(lambda done: self._native.start_health(done, wanted)))

    async def download(
        self,
        symbols: str | Iterable[str],
        intervals: Interval | str | Iterable[Interval | str],
        start: TimeLike,
        end: TimeLike | None = None,
        *,
        market: Market | str = "spot",
        progress: bool = True,
        jobs: int = 4,
        unit: Unit | None = None,
    ) -> DownloadReport:
        """See :meth:`Client.download`. Cancelling it ends it; what was fetched is stored."""
        wanted = order(self._native, symbols, intervals, start, end, market, progress, jobs, unit)
        return await download_awaited(self._native, wanted)


# --- the package's functions: one client per process and kind, made when first wanted ----------------------------------

# Reentrant: a signal's handler may ask while it is held.
_lock = threading.RLock()
_clients: dict[bool, Client] = {}


def default_client(simulate: bool = False) -> Client:
    """The client behind the package's functions."""
    simulate = flag_of(simulate, "simulate")
    with _lock:
        client = _open_client(simulate)
        if client is None:
            made = Client(simulate=simulate)
            # Meanwhile a signal's handler may have asked too.
            client = _clients[simulate] = _open_client(simulate) or made
        return client


def _open_client(simulate: bool) -> Client | None:
    client = _clients.get(simulate)
    return None if client is None or client.is_closed else client


def _forget() -> None:
    """In a forked child: the lock may have been held, and the clients are the parent's."""
    global _lock
    _lock = threading.RLock()
    _clients.clear()


def _close() -> None:
    with _lock:
        clients = list(_clients.values())
        _clients.clear()
    for client in clients:
        client.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
atexit.register(_close)


def get_data(
    symbol: str,
    interval: Interval | str,
    start: TimeLike,
    end: TimeLike | None = None,
    *,
    market: Market | str = "spot",
    completeness: Completeness = "required",
    sources: Sources = "all",
    forming: bool = False,
    deadline: float | timedelta | None = None,
    priority: Literal["interactive", "bulk"] = "interactive",
    unit: Unit | None = None,
    simulate: bool = False,
) -> Klines:
    """See :meth:`Client.get_data`."""
    return default_client(simulate).get_data(
        symbol,
        interval,
        start,
        end,
        market=market,
        completeness=completeness,
        sources=sources,
        forming=forming,
        deadline=deadline,
        priority=priority,
        unit=unit,
    )


def funding_rates(
    symbol: str,
    start: TimeLike,
    end: TimeLike | None = None,
    *,
    market: Market | str = "um",
    completeness: Completeness = "required",
    sources: Sources = "all",
    deadline: float | timedelta | None = None,
    priority: Literal["interactive", "bulk"] = "interactive",
    unit: Unit | None = None,
    simulate: bool = False,
) -> FundingRates:
    """See :meth:`Client.funding_rates`."""
    return default_client(simulate).funding_rates(
        symbol,
        start,
        end,
        market=market,
        completeness=completeness,
        sources=sources,
        deadline=deadline,
        priority=priority,
        unit=unit,
    )


def price(
    symbol: str,
    *,
    market: Market | str = "spot",
    substitutes: bool = True,
    deadline: float | timedelta | None = None,
    simulate: bool = False,
) -> Price:
    """See :meth:`Client.price`."""
    return default_client(simulate).price(symbol, market=market, substitutes=substitutes, deadline=deadline)


def prices(
    symbols: Iterable[str],
    *,
    market: Market | str = "spot",
    substitutes: bool = True,
    deadline: float | timedelta | None = None,
    simulate: bool = False,
) -> Prices:
    """See :meth:`Client.prices`."""
    return default_client(simulate).prices(symbols, market=market, substitutes=substitutes, deadline=deadline)


def sentiment(
    *,
    count: int = 1,
    secondary: bool = True,
    deadline: float | timedelta | None = None,
    simulate: bool = False,
) -> Sentiment:
    """See :meth:`Client.sentiment`."""
    return default_client(simulate).sentiment(count=count, secondary=secondary, deadline=deadline)


def health(*, probe: bool = False, simulate: bool = False) -> Health:
    """See :meth:`Client.health`."""
    return default_client(simulate).health(probe=probe)


def download(
    symbols: str | Iterable[str],
    intervals: Interval | str | Iterable[Interval | str],
    start: TimeLike,
    end: TimeLike | None = None,
    *,
    market: Market | str = "spot",
    progress: bool = True,
    jobs: int = 4,
    unit: Unit | None = None,
    simulate: bool = False,
) -> DownloadReport:
    """See :meth:`Client.download`."""
    return default_client(simulate).download(
        symbols, intervals, start, end, market=market, progress=progress, jobs=jobs, unit=unit
    )


def _describe(question: Callable[..., Any]) -> None:
    """Lets ``help`` say of a question's other forms what it says of the client's own, and what differs."""
    see = f"See :meth:`Client.{question.__name__}`."
    simulate = "``simulate``: of a pretend internet, with a temporary cache; nothing leaves the machine."
    # Since Python 3.13 the margin is gone already.
    whole = (question.__doc__ or see).rstrip().replace("\n        ", "\n")
    function, awaited = globals()[question.__name__], getattr(AsyncClient, question.__name__)
    function.__doc__ = f"{whole}\n\n{simulate}"
    awaited.__doc__ = f"{whole}\n\n{(awaited.__doc__ or '').removeprefix(see).strip()}".rstrip()


for _question in (
    Client.get_data,
    Client.funding_rates,
    Client.price,
    Client.prices,
    Client.sentiment,
    Client.health,
    Client.download,
):
    _describe(_question)
