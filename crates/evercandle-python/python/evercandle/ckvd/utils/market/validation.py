"""Where programs import from, as in the other package."""

from typing import TYPE_CHECKING

from evercandle.ckvd.absent import missing_in
from evercandle.ckvd.symbols import (
    get_default_symbol as get_default_symbol,
    get_market_symbol_format as get_market_symbol_format,
    get_minimum_interval as get_minimum_interval,
    is_interval_supported as is_interval_supported,
    validate_symbol_for_market_type as validate_symbol_for_market_type,
)

if not TYPE_CHECKING:
    __path__, __getattr__ = missing_in(__name__)
