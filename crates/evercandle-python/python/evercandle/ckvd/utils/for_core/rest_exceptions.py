"""Where programs import from, as in the other package."""

from evercandle.ckvd.errors import (
    APIError as APIError,
    HTTPError as HTTPError,
    JSONDecodeError as JSONDecodeError,
    NetworkError as NetworkError,
    RateLimitError as RateLimitError,
    RestAPIError as RestAPIError,
    RestTimeoutError as RestTimeoutError,
)
