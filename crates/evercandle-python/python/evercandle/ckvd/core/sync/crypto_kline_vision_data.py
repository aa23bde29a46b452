"""Where programs import from, as in the other package."""

from evercandle.ckvd.manager import (
    CryptoKlineVisionData as CryptoKlineVisionData,
)
from evercandle.ckvd.config import CKVDConfig as CKVDConfig
from evercandle.ckvd.enums import DataSource as DataSource
