"""Exceptions, under the names and bases that crypto-kline-vision-data documents. Each has ``message`` and ``details``.

Those that package does not have are subclasses of what it documents for the case, so that its handlers still catch them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..vocabulary import shown

if TYPE_CHECKING:
    from datetime import datetime

    from .enums import MarketType


class _Detailed(Exception):
    def __init__(self, message: str = "", *, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = {} if details is None else details

    def __reduce__(self) -> tuple[Any, ...]:
        # As it is, not by the constructor, whose parameters an exception does not remember: for pickles and copies.
        return (_revived, (type(self), self.args), self.__dict__)


def _revived(kind: type[_Detailed], told: tuple[Any, ...]) -> _Detailed:
    error = kind.__new__(kind)
    error.args = told
    return error


class RestAPIError(_Detailed):
    """The exchange's REST interface failed."""


class RateLimitError(RestAPIError):
    """Nothing could be had because every source wants to be left alone; ask again after ``retry_after`` seconds."""

    def __init__(
        self,
        retry_after: int | None = None,
        message: str = "rate limit exceeded",
        *,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, details=details)
        self.retry_after = retry_after


class HTTPError(RestAPIError):
    """An answer with a status that means failure."""

    def __init__(
        self, status_code: int, message: str | None = None, *, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(f"HTTP {status_code}" if message is None else message, details=details)
        self.status_code = status_code


class APIError(RestAPIError):
    """An error with one of the exchange's own codes."""

    def __init__(
        self, code: int | str, message: str | None = None, *, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(f"API error {code}" if message is None else message, details=details)
        self.code = code


class NetworkError(RestAPIError):
    """The line failed."""


class RestTimeoutError(RestAPIError):
    """It took too long."""


class JSONDecodeError(RestAPIError):
    """What came was no JSON."""


class DataRetrievalError(RestAPIError, RuntimeError):
    """Nothing could be had from any source that may be asked. A ``RuntimeError``, as programs expect.

    ``details``: ``series``, ``gaps`` (with what each source said), ``retry_after`` in seconds, where known.
    """


class SymbolNotFoundError(APIError, ValueError):
    """The exchange does not know the symbol in that market. A ``ValueError``, as programs expect."""


class VisionAPIError(_Detailed):
    """The exchange's archives failed."""


class DataFreshnessError(VisionAPIError):
    """Too young for the archives."""


class ChecksumVerificationError(VisionAPIError):
    """An archive is not what its checksum says. Such archives are refused and REST is asked, so this is not raised."""


class DownloadFailedError(VisionAPIError):
    """An archive could not be fetched."""


class DataNotAvailableError(VisionAPIError):
    """What was asked for begins before the symbol was listed."""

    def __init__(
        self,
        symbol: str,
        market_type: MarketType | str,
        requested_start: datetime,
        earliest_available: datetime,
    ) -> None:
        market = market_type if isinstance(market_type, str) else market_type.name
        super().__init__(
            f"{symbol} in {market}: the range begins at {requested_start.isoformat()}, before the first data at"
            f" {earliest_available.isoformat()}: expected a start from then on",
            details={
                "symbol": symbol,
                "market_type": market,
                "requested_start": requested_start.isoformat(),
                "earliest_available": earliest_available.isoformat(),
            },
        )
        self.symbol = symbol
        self.market_type = market_type
        self.requested_start = requested_start
        self.earliest_available = earliest_available


class UnsupportedIntervalError(_Detailed, ValueError):
    """The market has no klines of that length."""


class WrongKindError(_Detailed, TypeError, ValueError):
    """A value of a kind that the parameter does not take. Both a ``TypeError`` and a ``ValueError``: that package documents
    the one for its settings, the other for its questions."""

    def __init__(self, parameter: str, value: object, expected: str) -> None:
        super().__init__(f"{parameter} {shown(value)}: expected {expected}", details={"parameter": parameter})


class CacheDisabledError(_Detailed, RuntimeError, ValueError):
    """The cache alone is asked for where it is switched off; that package documents it under both names."""


class NotOfferedError(_Detailed, NotImplementedError, ValueError):
    """crypto-kline-vision-data has it and this does not; the message says what to do instead."""

    def __init__(self, what: str, instead: str) -> None:
        details = {"what": what, "instead": instead}
        super().__init__(f"{what} is not offered by evercandle.ckvd: {instead}", details=details)


class NotOfferedImportError(NotOfferedError, ModuleNotFoundError):
    """The same of a module, or of a name in one, that is imported."""


class NotOfferedAttributeError(NotOfferedError, AttributeError):
    """The same of an attribute, a module's too."""


class StreamingError(_Detailed):
    """A stream failed."""


class StreamConnectionError(StreamingError):
    """No connection could be made."""


class StreamSubscriptionError(StreamingError):
    """A subscription was refused."""


class StreamReconnectExhaustedError(StreamingError):
    """All attempts to go on failed."""


class StreamTimeoutError(StreamingError):
    """Nothing came for too long."""


class StreamMessageParseError(StreamingError):
    """What came could not be read."""


class StreamBackpressureError(StreamingError):
    """The reader is too slow."""


class StreamReconciliationError(StreamingError):
    """A hole could not be filled."""


class StreamGapDetectedError(StreamingError):
    """There is a hole."""
