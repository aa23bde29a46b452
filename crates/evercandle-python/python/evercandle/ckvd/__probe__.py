"""What is here, as plain values that JSON takes: for programs that look before they call."""

from __future__ import annotations

import inspect
from enum import Enum
from typing import Any

import evercandle.ckvd as package

from . import errors
from .config import ALL_SOURCES
from .enums import ChartType, DataProvider, Interval
from .symbols import NATIVE_MARKETS, is_interval_supported


def discover_api() -> dict[str, Any]:
    """Public classes with their methods, functions with their parameters, enums with their members, exceptions."""
    classes: dict[str, Any] = {}
    functions: dict[str, Any] = {}
    enums: dict[str, Any] = {}
    for name in package.__all__:
        thing: Any = getattr(package, name)
        if not inspect.isclass(thing):
            functions[name] = _callable(thing)
        elif issubclass(thing, Enum):
            enums[name] = {"module": thing.__module__, "members": [one.name for one in thing], "values": _values(thing)}
        else:
            methods = [method for method in dir(thing) if not method.startswith("_") and callable(getattr(thing, method))]
            told = {method: _callable(getattr(thing, method)) for method in methods}
            classes[name] = {"module": thing.__module__, **_callable(thing), "methods": told}
    exceptions = {
        name: {
            "module": thing.__module__,
            "bases": [base.__name__ for base in thing.__mro__[1:-1] if not base.__name__.startswith("_")],
            "docstring": _first_line(thing),
            "has_details": True,
        }
        for name, thing in vars(errors).items()
        if inspect.isclass(thing) and issubclass(thing, Exception) and not name.startswith("_")
    }
    return {
        "metadata": {"package": "evercandle", "import_name": package.__name__, "version": package.__version__},
        "classes": classes,
        "functions": functions,
        "enums": enums,
        "exceptions": exceptions,
    }


def get_capabilities() -> dict[str, Any]:
    """Which markets, intervals, kinds of data and sources can be had, and what cannot."""
    markets = {
        market.name: [one.value for one in Interval if is_interval_supported(market, one)] for market in NATIVE_MARKETS
    }
    return {
        "providers": [DataProvider.BINANCE.name],
        "market_types": list(markets),
        "markets": markets,
        "intervals": [one.value for one in Interval],
        "chart_types": {
            chart.name: [market.name for market in NATIVE_MARKETS if chart.is_supported_by_market(market)]
            for chart in ChartType
            if chart.is_supported_by_provider(DataProvider.BINANCE)
        },
        "data_sources": [one.name for one in ALL_SOURCES],
        "output_formats": {"default": "pandas.DataFrame", "opt_in": "polars.DataFrame (return_polars=True)"},
        "not_offered": ["OKX", "TRADESTATION", "OPTIONS", "STREAMING"],
    }


def _callable(thing: Any) -> dict[str, Any]:
    parameters = inspect.signature(thing).parameters
    return {
        "parameters": [name for name in parameters if name != "self"],
        "signature": str(inspect.signature(thing)),
        "docstring": _first_line(thing),
    }


def _values(kind: type[Enum]) -> dict[str, Any]:
    return {one.name: one.value for one in kind}


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").split("\n", 1)[0]
