"""Where programs import from, as in the other package."""

from evercandle.ckvd.errors import (
    StreamBackpressureError as StreamBackpressureError,
    StreamConnectionError as StreamConnectionError,
    StreamGapDetectedError as StreamGapDetectedError,
    StreamMessageParseError as StreamMessageParseError,
    StreamReconciliationError as StreamReconciliationError,
    StreamReconnectExhaustedError as StreamReconnectExhaustedError,
    StreamSubscriptionError as StreamSubscriptionError,
    StreamTimeoutError as StreamTimeoutError,
    StreamingError as StreamingError,
)
