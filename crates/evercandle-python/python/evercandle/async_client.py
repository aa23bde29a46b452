"""The client whose answers are awaited."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from . import questions
from .arguments import interval_of
from .bulk import DownloadReport, download_awaited, order
from .cache import AsyncCache, Cache
from .client import Client
from .docstrings import told_as
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


class AsyncClient(Opened):
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

    @told_as(Client.get_data)
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
        label = interval_of(interval).value
        question = questions.rows(
            Klines, symbol, label, start, end, market, completeness, sources, forming, deadline, priority, unit
        )
        return await question.ask_awaited(self._native)

    @told_as(Client.funding_rates)
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
        question = questions.rows(
            FundingRates, symbol, FUNDING_RATES, start, end, market, completeness, sources, False, deadline, priority, unit
        )
        return await question.ask_awaited(self._native)

    @told_as(Client.price)
    async def price(
        self,
        symbol: str,
        *,
        market: Market | str = "spot",
        substitutes: bool = True,
        deadline: float | timedelta | None = None,
    ) -> Price:
        """See :meth:`Client.price`."""
        return await questions.price(symbol, market, substitutes, deadline).ask_awaited(self._native)

    @told_as(Client.prices)
    async def prices(
        self,
        symbols: Iterable[str],
        *,
        market: Market | str = "spot",
        substitutes: bool = True,
        deadline: float | timedelta | None = None,
    ) -> Prices:
        """See :meth:`Client.prices`."""
        return await questions.prices(symbols, market, substitutes, deadline).ask_awaited(self._native)

    @told_as(Client.sentiment)
    async def sentiment(
        self, *, count: int = 1, secondary: bool = True, deadline: float | timedelta | None = None
    ) -> Sentiment:
        """See :meth:`Client.sentiment`."""
        return await questions.sentiment(count, secondary, deadline).ask_awaited(self._native)

    @told_as(Client.health)
    async def health(self, *, probe: bool = False) -> Health:
        """See :meth:`Client.health`."""
        return await questions.health(probe).ask_awaited(self._native)

    @told_as(Client.download)
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
