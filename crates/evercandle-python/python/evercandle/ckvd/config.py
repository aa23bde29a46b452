"""Settings: of one manager, and from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..arguments import duration_of, flag_of, path_of, whole_of
from ..errors import BadRequestError
from ..vocabulary import shown
from .enums import ChartType, DataProvider, DataSource, FileType, MarketType, member_of
from .errors import WrongKindError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["FUNDING_RATE_DTYPES", "OUTPUT_DTYPES", "CKVDConfig", "FileType"]

OUTPUT_DTYPES: dict[str, str] = {
    "open": "float64",
    "high": "float64",
    "low": "float64",
    "close": "float64",
    "volume": "float64",
    "close_time": "datetime64[ns, UTC]",
    "quote_asset_volume": "float64",
    "count": "int64",
    "taker_buy_volume": "float64",
    "taker_buy_quote_volume": "float64",
}
"""Columns of klines, in order, beside the index ``open_time``, which is as ``close_time``."""

FUNDING_RATE_DTYPES: dict[str, str] = {
    "contracts": "string",
    "funding_interval": "string",
    "funding_rate": "float64",
}
"""Columns of funding rates, in order, beside the index ``time``; times are in UTC."""

RETRIES_MAX = 2**32 - 1
"""What the engine can count to."""

_Taken = TypeVar("_Taken")

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

ALL_SOURCES = (DataSource.CACHE, DataSource.VISION, DataSource.REST)


def cache_is_enabled(wanted: bool) -> bool:
    """Whether the cache is used: ``CKVD_ENABLE_CACHE`` may switch it off."""
    return wanted and os.environ.get("CKVD_ENABLE_CACHE", "").strip().lower() not in ("false", "0", "no")


def cache_dir_of(wanted: Path | str | None) -> Path | None:
    """Where the cache is: as said, or as ``CKVD_CACHE_DIR`` says, or where Evercandle has it."""
    if wanted is not None:
        return Path(wanted)
    told = os.environ.get("CKVD_CACHE_DIR")
    return Path(told) if told else None


def log_level_of(level: str, name: str = "log_level") -> str:
    """The level in capitals; raises ``ValueError`` for what is none."""
    expected = f"one of {', '.join(LOG_LEVELS)}"
    if not isinstance(level, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise WrongKindError(name, level, expected)
    if level.upper() not in LOG_LEVELS:
        raise ValueError(f"{name} {level!r}: expected {expected}")
    return level.upper()


def taken(read: Callable[..., _Taken], given: object, name: str, *bounds: Any) -> _Taken:
    """What one of the package's own checks takes it for; where that refuses, it is a :class:`WrongKindError`."""
    try:
        return read(given, name, *bounds)
    except BadRequestError as error:
        raise WrongKindError(name, given, str(error).rpartition(": expected ")[2]) from None


def source_of(source: DataSource | str, name: str) -> DataSource:
    """The source of that name, in any case; raises ``ValueError`` for what is none."""
    # By name, so that members of a class that was loaded twice are known as well.
    word = source if isinstance(source, str) else getattr(source, "name", None)
    try:
        return DataSource[str(word).strip().upper()]
    except KeyError:
        known = ", ".join(one.name for one in DataSource)
        raise ValueError(f"{name} {shown(source)}: expected one of {known}") from None


def priority_of(sources: Sequence[DataSource | str]) -> tuple[DataSource, ...]:
    """Sources in the order in which they are asked."""
    if isinstance(sources, str) or not hasattr(sources, "__iter__"):
        raise WrongKindError("fcp_priority", sources, "a list, such as [DataSource.CACHE, DataSource.REST]")
    told = tuple(source_of(source, "fcp_priority") for source in sources)
    if not told or len(set(told)) != len(told) or not set(told) <= set(ALL_SOURCES):
        raise ValueError(f"fcp_priority {list(sources)!r}: expected some of CACHE, VISION and REST, each at most once")
    return told


def _all_sources() -> list[DataSource]:
    return list(ALL_SOURCES)


@dataclass(frozen=True, slots=True)
class CKVDConfig:
    """How a manager works. Immutable; raises ``ValueError`` for values that make no sense: :class:`WrongKindError`, also a
    ``TypeError``, for those of another kind or beyond all bounds.

    ``retry_count``: tries per call and source. ``http_timeout``: seconds for connecting and for every silence.
    ``vision_enabled``: whether archives are asked. ``fcp_priority``: sources in the order in which they are asked.
    """

    market_type: MarketType
    provider: DataProvider
    chart_type: ChartType = ChartType.KLINES
    cache_dir: Path | None = None
    use_cache: bool = True
    retry_count: int = 5
    log_level: str = "WARNING"
    suppress_http_debug: bool = True
    quiet_mode: bool = False
    http_timeout: float = 30.0
    vision_enabled: bool = True
    fcp_priority: list[DataSource] = field(default_factory=_all_sources)

    def __post_init__(self) -> None:
        for name, kind in (("market_type", MarketType), ("provider", DataProvider), ("chart_type", ChartType)):
            self._set(name, member_of(getattr(self, name), kind, name))
        for name in ("use_cache", "suppress_http_debug", "quiet_mode", "vision_enabled"):
            self._set(name, taken(flag_of, getattr(self, name), name))
        self._set("retry_count", taken(whole_of, self.retry_count, "retry_count", 0, RETRIES_MAX))
        self._set("http_timeout", taken(duration_of, self.http_timeout, "http_timeout"))
        folder = taken(path_of, self.cache_dir, "cache_dir")
        self._set("cache_dir", None if folder is None else Path(folder))
        self._set("use_cache", cache_is_enabled(self.use_cache))
        self._set("log_level", log_level_of(self.log_level))
        self._set("fcp_priority", list(priority_of(self.fcp_priority)))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @classmethod
    def create(cls, provider: DataProvider, market_type: MarketType, **kwargs: Any) -> CKVDConfig:
        """The same, with what must be said first."""
        return cls(market_type=market_type, provider=provider, **kwargs)
