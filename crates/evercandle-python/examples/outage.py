"""An outage, rehearsed offline, that ends in a picture.

    python examples/outage.py            # writes outage.png

A simulated exchange goes down in the middle of an afternoon's work: first its archives, then everything. What is in the
cache is served all the same; what was never fetched is told as a gap with its reason, and shaded in the picture.
"""

from __future__ import annotations

import sys
from typing import Any

import evercandle
from matplotlib.figure import Figure


def main(picture: str) -> None:
    world = evercandle.Simulation(seed=7, now="2024-06-14T12:00:30Z")
    with evercandle.Client(simulate=world) as client:
        # The exchange itself stood still for six hours: nobody has candles of that time, and none are made up.
        client.simulator.halt("2024-06-08T02:00", "2024-06-08T08:00")

        print("1. Everything works:")
        week = client.get_data("BTC/USDT", "15m", "2024-06-03", "2024-06-10", priority="bulk")
        tell(week)

        print("\n2. The archives are down; REST stands in:")
        client.simulator.inject("refuse", upstream="binance-vision")
        tell(client.get_data("BTC/USDT", "15m", "2024-06-09T12:00", "2024-06-11"))

        print("\n3. Everything is down, and more is asked for than the cache has:")
        client.simulator.inject("refuse")
        try:
            client.get_data("BTC/USDT", "15m", "2024-06-03", "2024-06-14")
        except evercandle.IncompleteError as error:
            assert isinstance(error.partial, evercandle.Klines)
            tell(error.partial)
            figure: Any = Figure(figsize=(11, 5), layout="constrained")
            error.partial.plot(ax=figure.add_subplot(), candles=220)
            figure.savefig(picture, dpi=110)
            print(f"\n{picture}: grey is where the exchange stood still, red is what could still be had")


def tell(klines: evercandle.Klines) -> None:
    print(f"   {klines!r}")
    for segment in klines.segments:
        print(f"   {segment.start:%d %b %H:%M} to {segment.end:%d %b %H:%M}: {segment.provider} ({segment.via})")
    for gap in klines.gaps:
        print(f"   {gap.start:%d %b %H:%M} to {gap.end:%d %b %H:%M}: {gap.slots} missing, {gap.reason}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "outage.png")
