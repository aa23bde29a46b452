"""What crypto-kline-vision-data has beside what it documents, and this has not: modules, names in them, attributes.

Asking for one raises :class:`NotOfferedError`, which says what to use instead. To import it, it is a ``ModuleNotFoundError``,
so that ``try: from … import …`` goes on; to ask a module or a manager for it, an ``AttributeError``, so that ``hasattr`` says
no. ``find_spec``, which finders cannot tell from ``import``, raises the former.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

from .errors import NotOfferedAttributeError, NotOfferedImportError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_PACKAGE = __name__.rpartition(".")[0]

_ASK = "ask CryptoKlineVisionData.get_data(), where enforce_source names one source alone"
_CACHE = "the cache is Evercandle's: see evercandle.Client().cache"
_STREAM = "run the daemon and read GET /v1/stream (evercandle serve), or ask for closed klines with get_data()"
_FRAMES = 'frames come aligned, sorted and verified; frame.attrs["gaps"] lists what they lack, and why'

# What begins with it: the first that fits counts.
_INSTEAD = {
    "_reconciler": _STREAM,
    "core.streaming": _STREAM,
    "core.providers": f"{_ASK}, and chart_type=ChartType.FUNDING_RATE funding rates; of exchanges there is Binance's",
    "core": _ASK,
    "utils.arrow_cache_reader": _CACHE,
    "utils.cache": _CACHE,
    "utils.config": "such constants have no effect here: see CKVDConfig, and evercandle.Client(settings=…) for more",
    "utils.for_core.ckvd_cache_utils": _CACHE,
    "utils.for_core.ckvd_utilities": _FRAMES,
    "utils.for_core": _ASK,
    "utils.loguru_setup": 'use logging.getLogger("evercandle.ckvd"), or log_level and CKVD_LOG_LEVEL',
    "utils.market": "evercandle.ckvd.__probe__.get_capabilities() says which markets and intervals there are",
    "utils.network": _ASK,
    "utils.time": "use datetime, and CryptoKlineVisionData.calculate_time_range() for ranges",
    "utils.validation": f"{_FRAMES}; get_data() raises DataNotAvailableError, with the first day there is",
    "utils": _FRAMES,
}

_ATTRIBUTES = {
    "cache_manager": _CACHE,
    "rest_client": 'use get_data() with enforce_source="REST"',
    "vision_client": 'use get_data() with enforce_source="VISION"',
    "_save_to_cache": _CACHE,
    "_fetch_from_rest": 'use get_data() with enforce_source="REST"',
    "_fetch_from_vision": 'use get_data() with enforce_source="VISION"',
    "_fetch_funding_rate": "use get_data() with chart_type=ChartType.FUNDING_RATE",
}


def refuse_attribute(kind: str, name: str) -> NoReturn:
    """Says what to use instead, if that package has it."""
    if name in _ATTRIBUTES:
        raise NotOfferedAttributeError(f"{kind}.{name}", _ATTRIBUTES[name])
    raise AttributeError(f"{kind!r} object has no attribute {name!r}")


def missing_in(module: str) -> tuple[list[str], Callable[[str], NoReturn]]:
    """``__path__`` and ``__getattr__`` of a module that has some of what that package has there.

    Of an ``AttributeError``, ``from … import …`` drops the words. With a path, be it empty, it looks for a module of that
    name next, which nobody finds but :class:`_Finder`.
    """

    def refuse(name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        path = f"{module.removeprefix(_PACKAGE)[1:]}.{name}"
        raise NotOfferedAttributeError(f"ckvd.{path}", _instead(path))

    return [], refuse


def _instead(path: str) -> str:
    return next(words for start, words in _INSTEAD.items() if path.startswith(start))


class _Finder:
    """Asked last, when nobody has found the module."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        told = name.removeprefix(_PACKAGE + ".")
        if told != name and told.startswith(("core.", "utils.", "_reconciler")):
            raise NotOfferedImportError(f"ckvd.{told}", _instead(told))
        return None


def watch_imports() -> None:
    """From now on, importing a module that is not here says so."""
    sys.meta_path.append(_Finder())
