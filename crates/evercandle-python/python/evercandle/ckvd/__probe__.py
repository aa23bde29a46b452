"""What is here, as plain values that JSON takes: for programs that look before they call."""

from __future__ import annotations

import inspect
from enum import Enum
from typing import Any

import evercandle.ckvd as package

from . import errors
from .enums import ChartType, DataProvider, DataSource, Interval
from .symbols import NATIVE_MARKETS, is_interval_supported


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").split("\n", 1)[0]


def discover_api() -> dict[str, Any]:
    """Public classes with their methods, functions with their signatures, enums with their values, exceptions."""
    classes: dict[str, Any] = {}
    functions: dict[str, Any] = {}
    enums: dict[str, Any] = {}
    for name in package.__all__:
        thing: Any = getattr(package, name)
        if not inspect.isclass(thing):
            functions[name] = {"signature": str(inspect.signature(thing)), "doc": _first_line(thing)}
        elif issubclass(thing, Enum):
            enums[name] = {member.name: member.value for member in thing}
        else:
            methods = {
                method: str(inspect.signature(getattr(thing, method)))
                for method in dir(thing)
                if not method.startswith("_") and callable(getattr(thing, method))
            }
            classes[name] = {"signature": str(inspect.signature(thing)), "doc": _first_line(thing), "methods": methods}
    exceptions = {
        name: {"bases": [base.__name__ for base in thing.__mro__[1:-2]], "doc": _first_line(thing)}
        for name, thing in vars(errors).items()
        if inspect.isclass(thing) and issubclass(thing, Exception) and not name.startswith("_")
    }
    metadata = {"package": package.__name__, "version": package.__version__}
    return {
        "metadata": metadata,
        "classes": classes,
        "functions": functions,
        "enums": enums,
        "exceptions": exceptions,
    }


def get_capabilities() -> dict[str, Any]:
    """Which markets, intervals, kinds of data and sources can be had, and what cannot."""
    return {
        "providers": [DataProvider.BINANCE.name],
        "markets": {
            market.name: [one.value for one in Interval if is_interval_supported(market, one)]
            for market in NATIVE_MARKETS
        },
        "chart_types": {
            chart.name: [market.name for market in NATIVE_MARKETS if chart.is_supported_by_market(market)]
            for chart in ChartType
            if chart.is_supported_by_provider(DataProvider.BINANCE)
        },
        "sources": [one.name for one in DataSource if one is not DataSource.STREAMING],
        "outputs": ["pandas", "polars"],
        "not_offered": ["OKX", "TRADESTATION", "OPTIONS", "STREAMING"],
    }
