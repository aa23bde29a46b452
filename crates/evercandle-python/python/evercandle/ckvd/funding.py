"""Funding rates: the one place that has to change when the native package can be asked for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from .errors import NotOfferedError

if TYPE_CHECKING:
    from ..client import Client
    from .enums import DataSource


def funding_rates(
    client: Client, symbol: str, market: str, start: int, end: int, order: tuple[DataSource, ...], polars: bool
) -> NoReturn:
    """Funding rates settled from ``start`` to before ``end``, in microseconds since the epoch.

    The frame is to have the columns of ``FUNDING_RATE_DTYPES`` and, in UTC, ``time``: pandas' index, Polars' first column.
    """
    raise NotOfferedError(
        "ChartType.FUNDING_RATE", "this version's Python package has klines only; ask the exchange's REST interface"
    )
