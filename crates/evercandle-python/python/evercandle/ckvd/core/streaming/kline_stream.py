"""Where programs import from, as in the other package."""

from evercandle.ckvd.streaming import (
    KlineStream as KlineStream,
)
