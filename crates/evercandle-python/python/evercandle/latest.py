"""The newest price, and how the market feels; each with how far it can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .answer import Attempt, Reason, reasons_of, trail_of
from .vocabulary import datetime_of, with_times

if TYPE_CHECKING:
    from datetime import datetime


class Price(NamedTuple):
    """One instrument's newest known price."""

    symbol: str
    market: str
    price: float
    text: str
    """The price as it was printed, every digit."""
    state: str
    """``live``, ``substitute`` (another instrument's), ``stale`` (the provider's own value is old), ``halted`` or
    ``last_known`` (nobody answered)."""
    halted: str | None
    """The exchange's word for why it does not trade."""
    nature: str
    """``exchange``: the last trade of this very instrument; ``substitute``: another instrument's."""
    substitute: str | None
    """Which, in words."""
    as_of: datetime
    """When it was true; UTC."""
    age_seconds: float
    """How long ago that was when the answer was given."""
    change_percent: float | None
    """Over the last 24 hours, as the four that follow."""
    high: float | None
    low: float | None
    volume: float | None
    """In the base asset; on COIN-M, contracts."""
    quote_volume: float | None
    provider: str
    fetched_at: datetime
    via: str
    """``upstream``: asked for now; ``cache``: remembered."""

    @property
    def is_live(self) -> bool:
        """Whether this is the exchange's own price, of a market that trades, as of now."""
        return self.state == "live" and self.nature == "exchange"


class MissingPrice(NamedTuple):
    """A symbol without a price."""

    symbol: str
    unknown: bool
    """Whether the exchange says that there is no such symbol."""
    reasons: tuple[Reason, ...]
    retry_after: float | None
    """In how many seconds asking again makes sense, where that is known."""


class Prices(NamedTuple):
    """The newest prices that could be had."""

    prices: list[Price]
    """In the order asked for, without those that are missing."""
    missing: list[MissingPrice]
    trail: list[Attempt]


class Reading(NamedTuple):
    """One value of one measure."""

    value: float
    classification: str | None
    """The provider's own word for it."""
    at: datetime
    """When the period it is for began; UTC."""
    valid_until: datetime | None


class Sentiment(NamedTuple):
    """Readings of one measure, labelled as what it is. Measures are never blended."""

    measure: str
    """``fear_and_greed`` (0 to 100), ``votes`` (percent) or ``long_short_ratio``."""
    description: str
    is_primary: bool
    """Whether this is the measure that is asked for first."""
    readings: list[Reading]
    """Newest first, at least one."""
    missing: list[datetime]
    """Days between the readings for which none was published."""
    state: str
    """``current``, ``stale`` or ``last_known``."""
    age_seconds: float
    provider: str
    fetched_at: datetime
    via: str
    trail: list[Attempt]

    @property
    def value(self) -> float:
        """The newest reading's value."""
        return self.readings[0].value

    @property
    def classification(self) -> str | None:
        """The provider's word for it."""
        return self.readings[0].classification


def price_of(told: dict[str, Any]) -> Price:
    """A price as the engine tells it."""
    return Price(**with_times(told, "as_of", "fetched_at"))


def prices_of(told: dict[str, Any]) -> Prices:
    """Prices as the engine tells them."""
    missing = [MissingPrice(**with_times(one, reasons=reasons_of(one["reasons"]))) for one in told["missing"]]
    return Prices([price_of(one) for one in told["prices"]], missing, trail_of(told["trail"]))


def sentiment_of(told: dict[str, Any]) -> Sentiment:
    """A sentiment as the engine tells it."""
    readings = [Reading(**with_times(one, "at", "valid_until")) for one in told["readings"]]
    missing = [datetime_of(micros) for micros in told["missing"]]
    trail = trail_of(told["trail"])
    return Sentiment(**with_times(told, "fetched_at", readings=readings, missing=missing, trail=trail))
