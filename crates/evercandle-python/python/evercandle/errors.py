"""What can go wrong, by what you can do about it. Everything is an :class:`EvercandleError`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._native import format_instant

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._native import Klines as NativeKlines
    from .funding import FundingRates
    from .klines import Klines


class EvercandleError(Exception):
    """The base of all others.

    ``details`` is a dictionary of plain values (JSON would take it): what the message says, for programs.
    ``retry_after`` is in how many seconds asking again makes sense, where that is known, else ``None``.
    """

    kind: str = "unexpected"

    def __init__(self, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.details: dict[str, Any] = {} if details is None else details

    @property
    def retry_after(self) -> float | None:
        """Seconds until the first upstream is asked again, where that is known."""
        seconds = self.details.get("retry_after")
        return None if seconds is None else float(seconds)


class InternalError(EvercandleError):
    """A mistake in Evercandle itself (its engine panicked), not in the question: please report it. The client can still
    be used.

    ``details``: ``panic``, what the engine said.
    """

    kind = "internal"


class BadRequestError(EvercandleError, ValueError):
    """The question makes no sense; the message says what was wrong and what was expected. Change the question."""

    kind = "bad_request"


class UnknownSymbolError(EvercandleError, LookupError):
    """The exchange does not know the symbol in that market, and neither archives nor the cache have anything of it.

    ``details``: ``market``, ``symbol``, ``why``.
    """

    kind = "unknown_symbol"


class _PartialError(EvercandleError):
    partial: Klines | FundingRates | None
    """What was found, with its gaps and its trail: :class:`Klines`, or :class:`FundingRates` where those were asked for.
    Copies have it too; it is ``None`` where the exception was pickled into another process."""

    def __init__(
        self, message: str, details: dict[str, Any] | None = None, partial: Klines | FundingRates | None = None
    ) -> None:
        super().__init__(message, details)
        self.partial = partial

    def __copy__(self) -> Self:
        return self._with(self.__dict__)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        import copy

        return self._with(copy.deepcopy(self.__dict__, memo))

    def _with(self, state: dict[str, Any]) -> Self:
        made = type(self)(str(self))
        made.__dict__.update(state)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (str(self),), {**self.__dict__, "partial": None})


class IncompleteError(_PartialError):
    """Complete data was required and something is missing. Nothing fetched is lost: see ``partial``.

    ``details``: ``series``, ``gaps``, ``retry_after``. Ask again later, or with ``completeness="best_effort"``.
    """

    kind = "incomplete"


class UnavailableError(_PartialError):
    """Nothing at all could be had, from anywhere; ``partial`` has no rows, but the gaps and the trail.

    ``details``: ``series``, ``gaps``, ``retry_after``.
    """

    kind = "unavailable"


class RateLimitedError(UnavailableError):
    """Nothing could be had because every upstream wants to be left alone; ``retry_after`` says for how many seconds."""

    kind = "rate_limited"


class NoUpstreamError(EvercandleError):
    """Nobody could tell a price or a sentiment. ``details``: ``what``, ``reasons``, ``retry_after``."""

    kind = "no_upstream"


class CacheError(EvercandleError, OSError):
    """The local cache could not be used where it was indispensable (opening it, listing it, evicting from it)."""

    kind = "cache"


class ConfigError(EvercandleError, ValueError):
    """The configuration is wrong; the message names the setting, its value and what was expected."""

    kind = "config"


class ClosedError(EvercandleError, RuntimeError):
    """The client was closed."""

    kind = "closed"


class ForkError(EvercandleError, RuntimeError):
    """The client belongs to the process this one was forked from. Make a new one here."""

    kind = "forked"


_KINDS: dict[str, type[EvercandleError]] = {
    one.kind: one
    for one in (
        InternalError,
        BadRequestError,
        UnknownSymbolError,
        IncompleteError,
        UnavailableError,
        RateLimitedError,
        NoUpstreamError,
        CacheError,
        ConfigError,
        ClosedError,
        ForkError,
    )
}


def from_native(kind: str, message: str, details: str, partial: NativeKlines | None) -> EvercandleError:
    """The exception for what the engine says."""
    import json

    told: dict[str, Any] = json.loads(details)
    for gap in told.get("gaps", ()):
        for end in ("start", "end"):
            gap[end] = format_instant(gap[end])
    one = _KINDS.get(kind, EvercandleError)
    if partial is not None and issubclass(one, _PartialError):
        from .funding import FundingRates
        from .klines import Klines
        from .vocabulary import FUNDING_RATES

        kind_of_rows = FundingRates if partial.series()[3] == FUNDING_RATES else Klines
        return one(message, told, kind_of_rows(partial))
    return one(message, told)
