"""Where programs import from, as in the other package."""

from evercandle.ckvd.config import (
    FUNDING_RATE_DTYPES as FUNDING_RATE_DTYPES,
    FileType as FileType,
    OUTPUT_DTYPES as OUTPUT_DTYPES,
)
from evercandle.ckvd.enums import (
    ChartType as ChartType,
    DataProvider as DataProvider,
    Interval as Interval,
    MarketType as MarketType,
)
