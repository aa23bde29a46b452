"""Where programs import from, as in the other package."""

from typing import TYPE_CHECKING

from evercandle.ckvd.absent import names_of
from evercandle.ckvd.manager import (
    CryptoKlineVisionData as CryptoKlineVisionData,
)
from evercandle.ckvd.config import CKVDConfig as CKVDConfig
from evercandle.ckvd.enums import DataSource as DataSource

if not TYPE_CHECKING:
    __getattr__ = names_of(__name__)
