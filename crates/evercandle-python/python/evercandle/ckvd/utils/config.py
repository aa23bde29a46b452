"""Where programs import from, as in the other package."""

from typing import TYPE_CHECKING

from evercandle.ckvd.absent import missing_in
from evercandle.ckvd.config import (
    FUNDING_RATE_DTYPES as FUNDING_RATE_DTYPES,
    FileType as FileType,
    OUTPUT_DTYPES as OUTPUT_DTYPES,
)

if not TYPE_CHECKING:
    __path__, __getattr__ = missing_in(__name__)
