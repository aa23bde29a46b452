"""Where programs import from, as in the other package."""

from evercandle.ckvd.errors import (
    ChecksumVerificationError as ChecksumVerificationError,
    DataFreshnessError as DataFreshnessError,
    DataNotAvailableError as DataNotAvailableError,
    DownloadFailedError as DownloadFailedError,
    UnsupportedIntervalError as UnsupportedIntervalError,
    VisionAPIError as VisionAPIError,
)
