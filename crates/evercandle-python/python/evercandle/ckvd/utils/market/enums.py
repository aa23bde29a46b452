"""Where programs import from, as in the other package."""

from typing import TYPE_CHECKING

from evercandle.ckvd.absent import names_of
from evercandle.ckvd.enums import (
    ChartType as ChartType,
    DataProvider as DataProvider,
    Interval as Interval,
    MarketType as MarketType,
)

if not TYPE_CHECKING:
    __getattr__ = names_of(__name__)
