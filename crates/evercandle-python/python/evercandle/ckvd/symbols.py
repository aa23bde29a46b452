"""Symbols, markets and intervals that go together."""

from __future__ import annotations

import re
from typing import Any

from ..vocabulary import shown
from .enums import DataProvider, Interval, MarketType, member_of
from .errors import NotOfferedError, UnsupportedIntervalError

_SYMBOL = re.compile(r"[A-Za-z0-9_-]{1,30}")
_COIN_MARGINED = re.compile(r"[A-Z0-9]+USD_(PERP|[0-9]{6})")

NATIVE_MARKETS = {
    MarketType.SPOT: "spot",
    MarketType.FUTURES_USDT: "um",
    MarketType.FUTURES: "um",
    MarketType.FUTURES_COIN: "cm",
}
"""What Evercandle calls them."""


def symbol_of(symbol: str, market_type: MarketType) -> str:
    """The symbol in capitals; raises ``ValueError`` for what can be none in that market."""
    _check_spelling(symbol, market_type)
    return symbol.upper()


def validate_symbol_for_market_type(
    symbol: str | None, market_type: MarketType, data_provider: DataProvider = DataProvider.BINANCE
) -> bool:
    """``True`` for a symbol as that market spells them, in any case, and for none, which stands for
    :func:`get_default_symbol`; else raises ``ValueError`` with a suggestion."""
    market_type = _market_of(market_type, data_provider)
    if symbol is not None:
        _check_spelling(symbol, market_type)
    return True


def _check_spelling(symbol: object, market_type: MarketType) -> None:
    if not isinstance(symbol, str) or not _SYMBOL.fullmatch(symbol):
        raise ValueError(f"symbol {shown(symbol)}: expected 1 to 30 letters, digits, _ or -, such as BTCUSDT")
    suggested = get_market_symbol_format(symbol.upper(), market_type)
    if suggested != symbol.upper():
        coin = market_type is MarketType.FUTURES_COIN
        expected = "BASEUSD_PERP or BASEUSD_YYMMDD" if coin else "one without _PERP, which is FUTURES_COIN's"
        raise ValueError(
            f"symbol {symbol!r} in {market_type.name}: expected {expected}. Try using '{suggested}' instead."
        )


def get_market_symbol_format(
    symbol: str | None, market_type: MarketType, data_provider: DataProvider = DataProvider.BINANCE
) -> str:
    """The symbol of the same base as that market spells it: ``BTCUSDT`` in ``FUTURES_COIN`` is ``BTCUSD_PERP``. Without a
    symbol, :func:`get_default_symbol`."""
    market_type = _market_of(market_type, data_provider)
    if not symbol:
        return get_default_symbol(market_type)
    if market_type is MarketType.FUTURES_COIN:
        if _COIN_MARGINED.fullmatch(symbol):
            return symbol
        return f"{re.sub(r'(USDT|USDC|BUSD|USD)?(_.*)?$', '', symbol) or 'BTC'}USD_PERP"
    plain = symbol.removesuffix("_PERP")
    return f"{plain}T" if plain != symbol and plain.endswith("USD") else plain


def _market_of(market_type: MarketType, provider: DataProvider) -> MarketType:
    if member_of(provider, DataProvider, "data_provider") is not DataProvider.BINANCE:
        raise NotOfferedError(f"provider {provider.name}", "use DataProvider.BINANCE")
    return member_of(market_type, MarketType, "market_type")


def interval_of(interval: Interval | str, market_type: MarketType) -> Interval:
    """The interval, also by its value; raises ``UnsupportedIntervalError`` for what is none in that market."""
    value: Any = getattr(interval, "value", interval)
    known = [one for one in Interval if market_type.name == "SPOT" or one is not Interval.SECOND_1]
    for one in known:
        if isinstance(value, str) and one.value == value:
            return one
    names = " ".join(one.value for one in known)
    raise UnsupportedIntervalError(
        f"interval {shown(value)} in {market_type.name}: expected one of {names}",
        details={"interval": shown(value, str), "market_type": market_type.name, "supported": names.split()},
    )


def is_interval_supported(market_type: MarketType, interval: Interval) -> bool:
    """Whether the market has klines of that length."""
    market = member_of(market_type, MarketType, "market_type")
    return market is MarketType.SPOT or member_of(interval, Interval, "interval") is not Interval.SECOND_1


def get_minimum_interval(market_type: MarketType) -> Interval:
    """The shortest the market has."""
    spot = member_of(market_type, MarketType, "market_type") is MarketType.SPOT
    return Interval.SECOND_1 if spot else Interval.MINUTE_1


def get_default_symbol(market_type: MarketType) -> str:
    """One that is always there."""
    coin = member_of(market_type, MarketType, "market_type") is MarketType.FUTURES_COIN
    return "BTCUSD_PERP" if coin else "BTCUSDT"
