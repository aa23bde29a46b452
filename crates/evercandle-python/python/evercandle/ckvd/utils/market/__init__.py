"""Where programs import from, as in the other package."""

from evercandle.ckvd.utils.market.enums import *
from evercandle.ckvd.utils.market.validation import *
