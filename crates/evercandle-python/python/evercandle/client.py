"""The client that waits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from . import questions
from .arguments import interval_of
from .bulk import DownloadReport, download, order
from .cache import Cache
from .funding import FundingRates
from .klines import Klines
from .latest import Price, Prices, Sentiment
from .opened import Opened
from .questions import Completeness, Sources
from .upstreams import Health
from .vocabulary import FUNDING_RATES, Interval, Market, TimeLike, Unit

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


class Client(Opened):
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
        without it, the time is renewed as long as klines arrive. ``priority``: ``bulk`` leaves quota to others, and outlasts
        outages as :meth:`download` does.

        Raises :class:`IncompleteError` and :class:`UnavailableError` (``partial`` holds what was found),
        :class:`RateLimitedError`, :class:`UnknownSymbolError`, :class:`BadRequestError`.
        """
        label = interval_of(interval).value
        question = questions.rows(
            Klines, symbol, label, start, end, market, completeness, sources, forming, deadline, priority, unit
        )
        return question.ask(self._native)

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
        question = questions.rows(
            FundingRates, symbol, FUNDING_RATES, start, end, market, completeness, sources, False, deadline, priority, unit
        )
        return question.ask(self._native)

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
        return questions.price(symbol, market, substitutes, deadline).ask(self._native)

    def prices(
        self,
        symbols: Iterable[str],
        *,
        market: Market | str = "spot",
        substitutes: bool = True,
        deadline: float | timedelta | None = None,
    ) -> Prices:
        """The newest prices, in as few calls as possible; those that cannot be had are in ``missing``, with reasons."""
        return questions.prices(symbols, market, substitutes, deadline).ask(self._native)

    def sentiment(
        self, *, count: int = 1, secondary: bool = True, deadline: float | timedelta | None = None
    ) -> Sentiment:
        """How the market feels: the Fear & Greed Index, ``count`` readings of it; else another measure, labelled as what
        it is (unless ``secondary=False``); else the last known reading.

        Raises :class:`NoUpstreamError` when nothing young enough was known. There is no neutral default.
        """
        return questions.sentiment(count, secondary, deadline).ask(self._native)

    def health(self, *, probe: bool = False) -> Health:
        """How every upstream is doing, as far as was learnt; ``probe`` asks each that may be called first."""
        return questions.health(probe).ask(self._native)

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
        and notebooks (tqdm's, where it is installed). ``jobs``: series and stretches at once. While nobody can be asked it
        waits, up to ``engine.patience_ms`` (a quarter of an hour), as the bar says. Never raises for what could not be had:
        the report says it, series by series.
        """
        wanted = order(self._native, symbols, intervals, start, end, market, progress, jobs, unit)
        return download(self._native, wanted)
