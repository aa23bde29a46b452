"""What is logged: to the logger ``evercandle.ckvd`` of the standard library, and nobody else's handlers are touched.

``CKVD_LOG_LEVEL`` beats what managers say, and ``CKVD_LOG_FILE`` adds a file.
"""

from __future__ import annotations

import logging
import os

from .config import log_level_of

logger = logging.getLogger("evercandle.ckvd")

_files: dict[str, logging.Handler] = {}


def prepare() -> None:
    """Opens the file that the environment names, once."""
    path = os.environ.get("CKVD_LOG_FILE")
    if path and path not in _files:
        handler = _files[path] = logging.FileHandler(path, delay=True)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)


def level_in_force(level: str, quiet: bool) -> int:
    """The lowest level that is logged."""
    told = os.environ.get("CKVD_LOG_LEVEL")
    name = log_level_of(told) if told else level
    return max(int(getattr(logging, name)), logging.ERROR if quiet else 0)
