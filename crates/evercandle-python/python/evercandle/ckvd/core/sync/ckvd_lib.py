"""Where programs import from, as in the other package."""

from typing import TYPE_CHECKING

from evercandle.ckvd.absent import missing_in
from evercandle.ckvd.fetch import (
    calculate_date_range as calculate_date_range,
    fetch_market_data as fetch_market_data,
)

if not TYPE_CHECKING:
    __path__, __getattr__ = missing_in(__name__)
