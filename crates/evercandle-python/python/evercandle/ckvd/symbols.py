"""Symbols, markets and intervals that go together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .enums import DataProvider, Interval, MarketType
from .errors import NotOfferedError, UnsupportedIntervalError

if TYPE_CHECKING:
    from typing import TypeGuard

_SYMBOL = re.compile(r"[A-Z0-9_-]{1,30}")
_COIN_MARGINED = re.compile(r"[A-Z0-9]+USD_(PERP|[0-9]{6})")

NATIVE_MARKETS = {
    MarketType.SPOT: "spot",
    MarketType.FUTURES_USDT: "um",
    MarketType.FUTURES: "um",
    MarketType.FUTURES_COIN: "cm",
}
"""What Evercandle calls them."""


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


def symbol_of(symbol: str, market_type: MarketType) -> str:
    """The symbol in capitals; raises ``ValueError`` for what can be none in that market."""
    if not _is_text(symbol) or not _SYMBOL.fullmatch(symbol.upper()):
        raise ValueError(f"symbol {symbol!r}: expected 1 to 30 letters, digits, _ or -, such as BTCUSDT")
    validate_symbol_for_market_type(symbol.upper(), market_type)
    return symbol.upper()


def validate_symbol_for_market_type(
    symbol: str, market_type: MarketType, provider: DataProvider = DataProvider.BINANCE
) -> bool:
    """``True`` for a symbol as that market spells them; else raises ``ValueError`` with a suggestion."""
    if provider.name != "BINANCE":
        raise NotOfferedError(f"provider {provider.name}", "use DataProvider.BINANCE")
    if market_type.name == "FUTURES_COIN" and not _COIN_MARGINED.fullmatch(symbol):
        base = re.sub(r"(USDT|USDC|BUSD|USD)?(_.*)?$", "", symbol) or "BTC"
        raise ValueError(
            f"symbol {symbol!r} in {market_type.name}: expected BASEUSD_PERP or BASEUSD_YYMMDD."
            f" Try using '{base}USD_PERP' instead."
        )
    if market_type.name != "FUTURES_COIN" and symbol.endswith("_PERP"):
        plain = symbol.removesuffix("_PERP")
        plain += "T" if plain.endswith("USD") else ""
        raise ValueError(
            f"symbol {symbol!r} in {market_type.name}: such symbols are of FUTURES_COIN. Try using '{plain}' instead."
        )
    return True


def interval_of(interval: Interval | str, market_type: MarketType) -> Interval:
    """The interval, also by its value; raises ``UnsupportedIntervalError`` for what is none in that market."""
    value: Any = getattr(interval, "value", interval)
    known = [one for one in Interval if market_type.name == "SPOT" or one is not Interval.SECOND_1]
    for one in known:
        if one.value == value:
            return one
    names = " ".join(one.value for one in known)
    raise UnsupportedIntervalError(
        f"interval {value!r} in {market_type.name}: expected one of {names}",
        details={"interval": str(value), "market_type": market_type.name, "supported": names.split()},
    )


def is_interval_supported(market_type: MarketType, interval: Interval) -> bool:
    """Whether the market has klines of that length."""
    return market_type.name == "SPOT" or interval.value != "1s"


def get_minimum_interval(market_type: MarketType) -> Interval:
    """The shortest the market has."""
    return Interval.SECOND_1 if market_type.name == "SPOT" else Interval.MINUTE_1


def get_default_symbol(market_type: MarketType) -> str:
    """One that is always there."""
    return "BTCUSD_PERP" if market_type.name == "FUTURES_COIN" else "BTCUSDT"
