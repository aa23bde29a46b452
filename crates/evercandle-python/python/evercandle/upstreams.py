"""How the upstreams are: who is asked, who is left alone, and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .vocabulary import datetime_of, datetime_or_none, with_times

if TYPE_CHECKING:
    from datetime import datetime


class ProviderHealth(NamedTuple):
    """One upstream."""

    provider: str
    serves: list[str]
    """Of ``klines``, ``prices``, ``sentiment``."""
    status: str
    """``ok``, ``degraded``, ``down`` or ``quarantined``."""
    circuit: str
    """``closed``, ``open`` or ``half_open``."""
    failure_count: int
    """Failures since the last success."""
    success_count: int
    failures_total: int
    skipped_total: int
    """Calls not made: circuit open, quarantine, quota, deadline."""
    opened_at: datetime | None
    retry_at: datetime | None
    quarantine: str | None
    last_error: str | None
    last_error_at: datetime | None


class Health(NamedTuple):
    """All upstreams, as far as the client has learnt."""

    at: datetime
    common_cause_since: datetime | None
    """Since when most upstreams fail together, which points at our own line."""
    cache_readonly: str | None
    """Why the cache is not written, if it is not."""
    providers: dict[str, ProviderHealth]

    @property
    def is_ok(self) -> bool:
        """Whether every upstream is asked and answering, or was not asked yet, and the cache is written."""
        return self.cache_readonly is None and all(one.status == "ok" for one in self.providers.values())


def health_of(told: dict[str, Any]) -> Health:
    """Health as the engine tells it."""
    times = ("opened_at", "retry_at", "last_error_at")
    providers = {one["provider"]: ProviderHealth(**with_times(one, *times)) for one in told["providers"]}
    return Health(
        datetime_of(told["at"]), datetime_or_none(told["common_cause_since"]), told["cache_readonly"], providers
    )
