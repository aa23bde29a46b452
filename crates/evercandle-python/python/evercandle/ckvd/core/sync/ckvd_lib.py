"""Where programs import from, as in the other package."""

from evercandle.ckvd.fetch import (
    calculate_date_range as calculate_date_range,
    fetch_market_data as fetch_market_data,
)
