"""Where programs import from, as in the other package."""

from typing import TYPE_CHECKING

from evercandle.ckvd.absent import names_of
from evercandle.ckvd.enums import (
    ChartType as ChartType,
    DataProvider as DataProvider,
    Interval as Interval,
    MarketType as MarketType,
)
from evercandle.ckvd.symbols import (
    get_default_symbol as get_default_symbol,
    get_market_symbol_format as get_market_symbol_format,
    get_minimum_interval as get_minimum_interval,
    is_interval_supported as is_interval_supported,
    validate_symbol_for_market_type as validate_symbol_for_market_type,
)

if not TYPE_CHECKING:
    __getattr__ = names_of(__name__)
