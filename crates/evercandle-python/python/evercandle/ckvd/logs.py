"""What is logged: to the logger ``evercandle.ckvd`` of the standard library, and nobody else's handlers are touched.

What a manager logs is its ``log_level``'s business, unless that logger was given a level of its own. ``CKVD_LOG_LEVEL``
beats what managers say, and is printed where nobody has set up logging; ``CKVD_LOG_FILE`` adds a file.
"""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

from .config import log_level_of

logger = logging.getLogger("evercandle.ckvd")

_files: set[str] = set()
_lock = threading.Lock()


def prepare() -> None:
    """Does what the environment says, once; raises ``ValueError`` if it says what makes no sense."""
    level, path = os.environ.get("CKVD_LOG_LEVEL"), os.environ.get("CKVD_LOG_FILE")
    with _lock:
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.DEBUG)
        if level:
            log_level_of(level, "CKVD_LOG_LEVEL")
            if not logger.hasHandlers():
                logger.addHandler(logging.StreamHandler())
        if path and path not in _files:
            logger.addHandler(_file(path))
            _files.add(path)


def _file(path: str) -> logging.Handler:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path)
    except OSError as error:
        raise ValueError(f"CKVD_LOG_FILE {path!r}: {error}: expected a file that can be written") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return handler


def level_in_force(level: str, quiet: bool) -> int:
    """The lowest level that is logged."""
    told = os.environ.get("CKVD_LOG_LEVEL")
    name = log_level_of(told, "CKVD_LOG_LEVEL") if told else level
    return max(int(getattr(logging, name)), logging.ERROR if quiet else 0)
