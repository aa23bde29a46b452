"""Questions that are awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import evercandle
import pytest

from .conftest import DAY, NOW

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 60))


def world() -> evercandle.AsyncClient:
    return evercandle.AsyncClient(simulate=evercandle.Simulation(seed=7, now=NOW))


def test_everything_can_be_awaited() -> None:
    async def work() -> None:
        async with world() as client:
            klines, price, prices, sentiment, health = await asyncio.gather(
                client.get_data("BTCUSDT", "1m", *DAY),
                client.price("BTCUSDT"),
                client.prices(["BTCUSDT", "ETHUSDT"]),
                client.sentiment(count=3),
                client.health(),
            )
            assert len(klines) == 1440 and klines.is_complete
            assert price.is_live and [one.symbol for one in prices.prices] == ["BTCUSDT", "ETHUSDT"]
            assert len(sentiment.readings) == 3 and health.is_ok
        assert client.is_closed

    run(work())


def test_questions_go_on_side_by_side_and_the_loop_stays_free() -> None:
    async def work() -> None:
        async with world() as client:
            client.simulator.inject("latency", milliseconds=400)
            turns = 0

            async def turn() -> None:
                nonlocal turns
                while True:
                    await asyncio.sleep(0.01)
                    turns += 1

            turning = asyncio.create_task(turn())
            began = time.monotonic()
            symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
            answers = await asyncio.gather(*(client.get_data(symbol, "1h", *DAY) for symbol in symbols))
            took = time.monotonic() - began
            turning.cancel()
            assert [len(one) for one in answers] == [24, 24, 24]
            assert turns > 10 and took > 0.3

    run(work())


def test_errors_are_raised_where_they_are_awaited() -> None:
    async def work() -> None:
        async with world() as client:
            with pytest.raises(evercandle.UnknownSymbolError):
                await client.get_data("NOPE", "1h", *DAY)
            client.simulator.inject("refuse")
            with pytest.raises(evercandle.UnavailableError) as caught:
                await client.get_data("BTCUSDT", "1h", *DAY)
            assert caught.value.partial is not None and len(caught.value.partial) == 0

    run(work())


def test_a_question_that_is_cancelled_ends_at_once() -> None:
    async def work() -> None:
        async with world() as client:
            client.simulator.inject("latency", milliseconds=2_500)
            began = time.monotonic()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.get_data("BTCUSDT", "1m", *DAY), 0.2)
            assert time.monotonic() - began < 2
            client.simulator.clear()
            assert len(await client.get_data("ETHUSDT", "1h", *DAY)) == 24

    run(work())


def test_a_loop_that_is_gone_is_not_told_anything() -> None:
    client = world()
    client.simulator.inject("latency", milliseconds=300)

    async def leave() -> None:
        asyncio.ensure_future(client.get_data("BTCUSDT", "1h", *DAY))
        await asyncio.sleep(0.05)

    asyncio.run(leave())
    time.sleep(0.5)
    client.simulator.clear()
    assert len(run(client.get_data("BTCUSDT", "1h", *DAY))) == 24
    run(client.close())


def test_a_download_leaves_the_loop_free_and_ends_when_it_is_cancelled() -> None:
    async def work() -> None:
        async with world() as client:
            report = await client.download(["BTCUSDT", "ETHUSDT"], "1h", "2024-04-01", "2024-05-01", progress=False)
            assert report.is_complete and report.rows == 2 * 720
            client.simulator.inject("latency", milliseconds=400)
            began = time.monotonic()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.download("BTCUSDT", "1m", "2023-01-01", "2024-01-01", progress=False), 0.2)
            assert time.monotonic() - began < 2
            client.simulator.clear()
            await asyncio.sleep(0.5)
            asked = len(client.simulator.requests())
            await asyncio.sleep(0.3)
            assert len(client.simulator.requests()) == asked, "nobody goes on asking"

    run(work())


def test_questions_under_way_are_told_when_their_client_is_closed() -> None:
    async def work() -> None:
        client = world()
        client.simulator.inject("latency", milliseconds=2_500)
        asking = asyncio.ensure_future(client.get_data("BTCUSDT", "1m", *DAY))
        await asyncio.sleep(0.1)
        await client.close()
        with pytest.raises(evercandle.ClosedError):
            await asking

    run(work())


def test_what_is_done_with_the_cache_is_awaited() -> None:
    async def work() -> None:
        async with world() as client:
            await client.get_data("BTCUSDT", "1h", *DAY)
            cache = client.cache
            held, stats, verified = await asyncio.gather(cache.ls(), cache.stats(), cache.verify())
            assert [one.symbol for one in held] == ["BTCUSDT"] and stats.files == verified.sound > 0
            assert (await cache.evict("BTCUSDT", "1h")).files == stats.files and await cache.ls() == []
            assert cache.path.is_dir() and repr(cache) == f"<AsyncCache {cache.path}>"

    run(work())
