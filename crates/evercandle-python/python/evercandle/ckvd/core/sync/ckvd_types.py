"""Where programs import from, as in the other package."""

from typing import TYPE_CHECKING

from evercandle.ckvd.absent import missing_in
from evercandle.ckvd.config import CKVDConfig as CKVDConfig
from evercandle.ckvd.enums import DataSource as DataSource

if not TYPE_CHECKING:
    __path__, __getattr__ = missing_in(__name__)
