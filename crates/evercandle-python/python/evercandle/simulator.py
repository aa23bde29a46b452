"""A pretend internet inside the process: offline use, tests, rehearsals of outages."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from .arguments import interval_of, market_of, path_of, span_of, symbol_of, text_of, whole_of, wrong
from .errors import BadRequestError
from .vocabulary import FUNDING_RATES, Interval, Market, TimeLike, Unit, micros_of

if TYPE_CHECKING:
    from os import PathLike

    from ._native import Simulator as NativeSimulator


class Simulation(NamedTuple):
    """What a client simulates: ``Client(simulate=Simulation(seed=7, now="2024-06-14T12:00:30Z"))``."""

    seed: int = 1
    """What every number follows from."""
    now: TimeLike | None = None
    """Where the clock stands, for the exchange and for the client; ``None``: both run with the system's. Where it stands,
    no download waits for an outage to end, unless the setting ``engine.patience_ms`` says so."""
    recorded: str | PathLike[str] | None = None
    """A folder of recorded answers, which speak for the symbols they hold."""


def terms_of(simulation: Simulation) -> tuple[int, int | None, str | None]:
    """Seed, now and recorded, as the engine takes them."""
    recorded = path_of(simulation.recorded, "recorded")
    if recorded is not None and not os.path.isdir(recorded):
        raise wrong("recorded", recorded, "a folder that is there")
    at = None if simulation.now is None else micros_of(simulation.now, None, "now")
    return whole_of(simulation.seed, "seed", 0, 2**64 - 1), at, recorded


class Simulator:
    """The remote control of a client's simulated internet: ``client.simulator``."""

    __slots__ = ("_native",)

    def __init__(self, native: NativeSimulator) -> None:
        self._native = native

    @property
    def url(self) -> str:
        """Its address on the loopback interface; what ``EVERCANDLE_INTERNET`` wants."""
        return self._native.url

    def control(self, method: str, target: str, body: object = None) -> Any:
        """The remote control itself, as ``curl -X method -d body <url>/_simulator/<target>``; the manual of
        ``evercandle-simulator`` lists what it takes."""
        import json

        try:
            text = "" if body is None else json.dumps(body)
        except (TypeError, ValueError) as error:
            raise BadRequestError(f"body: {error}: expected what JSON takes") from None
        try:
            answer = self._native.control(text_of(method, "method"), text_of(target, "target"), text)
        except BadRequestError:
            raise
        except ValueError as error:
            raise BadRequestError(f"the simulator refuses {method} {target}: {error}") from None
        return json.loads(answer)

    def inject(
        self,
        effect: str,
        *,
        upstream: str = "",
        path: str = "",
        times: int | None = None,
        probability: float = 1.0,
        **about: Any,
    ) -> int:
        """Lets something go wrong from now on; the number it returns is for :meth:`clear`.

        ``effect``: ``refuse``, ``black_hole``, ``latency`` (``milliseconds=``), ``status`` (``status=``, ``body=``),
        ``rate_limited`` (``retry_after=``), ``banned``, ``truncated_day`` (``hour=``), … ``upstream``:
        ``binance-vision``, ``binance-spot``, …, a host, or all. ``path``: only where path and query contain this.
        """
        # What is not at least 0 is no number at all, too.
        is_number = isinstance(probability, (int, float)) and not isinstance(probability, bool)  # pyright: ignore[reportUnnecessaryIsInstance]
        if not is_number or not 0 <= probability <= 1:
            raise wrong("probability", probability, "a number from 0 to 1")
        fault = {
            "effect": {"kind": text_of(effect, "effect"), **about},
            "upstream": upstream,
            "path": path,
            "times": times,
            "probability": probability,
        }
        return int(self.control("POST", "faults", fault)["id"])

    def clear(self, fault: int | None = None) -> None:
        """Ends a fault, or all of them."""
        self.control("DELETE", "faults" if fault is None else f"faults?id={whole_of(fault, 'fault', 0)}")

    def faults(self) -> list[dict[str, Any]]:
        """The faults in force."""
        return list(self.control("GET", "faults"))

    def requests(self, containing: str = "") -> list[str]:
        """What was asked so far, as ``host/path?query``; only what contains a text."""
        if not isinstance(containing, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise wrong("containing", containing, "a text")
        entries = self.control("GET", "journal")
        targets = [f"{one['host']}{one['path']}?{one['query']}".removesuffix("?") for one in entries]
        return [target for target in targets if containing in target]

    def forget_requests(self) -> None:
        """Forgets what was asked so far."""
        self.control("DELETE", "journal")

    def truth(
        self,
        symbol: str,
        interval: Interval | str,
        start: TimeLike,
        end: TimeLike,
        *,
        market: Market | str = "spot",
        unit: Unit | None = None,
    ) -> list[list[str]]:
        """The rows that every upstream should tell, as the exchange prints them: twelve texts each, the first being the
        open time in microseconds. At most 100,000 rows."""
        return list(self._truth(symbol, interval_of(interval).value, market, span_of(start, end, unit)))

    def funding_truth(
        self, symbol: str, start: TimeLike, end: TimeLike, *, market: Market | str = "um", unit: Unit | None = None
    ) -> list[tuple[int, int, str, str]]:
        """The settlements that every upstream should tell: instant in microseconds, hours between settlements, and rate
        and mark price as the exchange prints them."""
        return [tuple(row) for row in self._truth(symbol, FUNDING_RATES, market, span_of(start, end, unit))]

    def _truth(self, symbol: str, label: str, market: Market | str, span: tuple[int, int]) -> Any:
        from urllib.parse import quote

        named = f"market={market_of(market)}&symbol={quote(symbol_of(symbol))}&interval={label}"
        return self.control("GET", f"truth?{named}&start={span[0]}&end={span[1]}")

    def halt(
        self, start: TimeLike, end: TimeLike, *, market: Market | str = "spot", unit: Unit | None = None
    ) -> None:
        """Lets the whole exchange stand still, in history or to come: no kline is made meanwhile."""
        first, last = span_of(start, end, unit)
        halt = {"market": market_of(market), "start": first, "end": last, "kind": "absent"}
        self.control("POST", "halts", halt)

    def set_status(self, symbol: str, status: str, *, market: Market | str = "spot") -> None:
        """Stops a symbol (``HALT``, ``BREAK``) or lets it trade again (``TRADING``)."""
        told = {"market": market_of(market), "symbol": symbol_of(symbol), "status": text_of(status, "status")}
        self.control("POST", "status", told)

    def advance(self, by: timedelta) -> None:
        """Moves a clock that stands (:attr:`Simulation.now`) forward, the client's too, to before the year 9000."""
        if not isinstance(by, timedelta) or not timedelta(0) <= by:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise wrong("by", by, "a timedelta, not negative")
        self._native.advance(by)
