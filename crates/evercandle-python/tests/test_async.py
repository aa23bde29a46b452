"""Questions that are awaited."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import evercandle
import pytest

from evercandle.awaiting import answer
from evercandle.bulk import DownloadReport

from .conftest import DAY, NOW, PATIENT, STUCK, STUCK_AT, STUCK_ENDS, check_stuck

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 60))


def world() -> evercandle.AsyncClient:
    return evercandle.AsyncClient(simulate=evercandle.Simulation(seed=7, now=NOW))


def silent_world(path: str = "klines", cache_dir: Path | None = None) -> evercandle.AsyncClient:
    """Nobody answers there, and nobody gives up waiting."""
    simulation = evercandle.Simulation(seed=7, now=NOW)
    client = evercandle.AsyncClient(simulate=simulation, settings=PATIENT, cache_dir=cache_dir)
    client.simulator.inject("black_hole", path=path)
    return client


async def asked(client: evercandle.AsyncClient, containing: str = "") -> None:
    """Returns when the simulated exchange has been asked."""
    while not client.simulator.requests(containing):
        await asyncio.sleep(0.01)


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
        async with silent_world() as client:
            symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
            questions = [asyncio.ensure_future(client.get_data(symbol, "1h", *DAY)) for symbol in symbols]
            for symbol in symbols:
                await asked(client, symbol)
            assert not any(question.done() for question in questions)
            for question in questions:
                question.cancel()

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
        async with silent_world() as client:
            question = asyncio.ensure_future(client.get_data("BTCUSDT", "1m", *DAY))
            await asked(client)
            question.cancel()
            with pytest.raises(asyncio.CancelledError):
                await question
            client.simulator.clear()
            assert len(await client.get_data("ETHUSDT", "1h", *DAY)) == 24

    run(work())


def test_questions_under_way_are_told_when_their_client_is_closed() -> None:
    async def work() -> None:
        client = silent_world()
        question = asyncio.ensure_future(client.get_data("BTCUSDT", "1m", *DAY))
        await asked(client)
        await client.close()
        with pytest.raises(evercandle.ClosedError):
            await question

    run(work())


def test_a_loop_that_is_gone_is_not_told_anything() -> None:
    """Goal: an answer that comes after the end of the loop that waits for it is dropped, whoever brings it.
    Method: a question that is answered by hand."""
    brought: list[Callable[[Any, BaseException | None], None]] = []

    class Pending:
        def cancel(self) -> None:
            pass

    def start(done: Callable[[Any, BaseException | None], None]) -> Any:
        brought.append(done)
        return Pending()

    async def leave() -> None:
        asyncio.ensure_future(answer(start))
        await asyncio.sleep(0)

    asyncio.run(leave())
    [done] = brought
    done("too late", None)
    done(None, evercandle.ClosedError("too late"))


# --- what ends a download that is under way, in what way, and that what was fetched is kept ------------------------------


async def stuck(client: evercandle.AsyncClient, **but: Any) -> asyncio.Future[DownloadReport]:
    """A download that waits for an answer, and will for ever."""
    download = asyncio.ensure_future(client.download(**{**STUCK, **but}))
    await asked(client, STUCK_AT)
    return download


def test_a_download_that_is_cancelled_ends_and_asks_nothing_more(tmp_path: Path, quiet: None) -> None:
    async def work() -> None:
        async with silent_world(STUCK_AT, tmp_path) as client:
            download = await stuck(client)
            download.cancel()
            with pytest.raises(asyncio.CancelledError):
                await download
            client.simulator.clear()
            assert len(await client.get_data("ETHUSDT", "1h", *DAY)) == 24
            check_stuck(client.simulator, tmp_path)

    run(work())


@pytest.mark.parametrize("end", STUCK_ENDS)
def test_a_download_is_told_when_its_client_is_closed(end: str, tmp_path: Path, quiet: None) -> None:
    async def work() -> None:
        async with silent_world(STUCK_AT, tmp_path) as client:
            simulator, download = client.simulator, await stuck(client, end=end)
        with pytest.raises(evercandle.ClosedError):
            await download
        check_stuck(simulator, tmp_path)

    run(work())


def test_a_download_ends_with_its_loop(tmp_path: Path, quiet: None) -> None:
    client = silent_world(STUCK_AT, tmp_path)
    left: list[asyncio.Future[DownloadReport]] = []

    async def leave() -> None:
        left.append(await stuck(client))

    asyncio.run(leave())
    assert left[0].cancelled()
    check_stuck(client.simulator, tmp_path)
    run(client.close())


def test_however_many_downloads_are_under_way_a_client_can_be_closed(quiet: None) -> None:
    async def work() -> None:
        async with silent_world() as client:
            many = [asyncio.ensure_future(client.download(**STUCK)) for _ in range(40)]
            await asked(client)
        for ended in await asyncio.gather(*many, return_exceptions=True):
            assert isinstance(ended, evercandle.ClosedError)

    run(work())


def test_a_download_that_waits_for_an_outage_to_end_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    async def work() -> None:
        # Its clock runs.
        async with evercandle.AsyncClient(simulate=True) as client:
            client.simulator.inject("refuse")
            download = asyncio.ensure_future(client.download("BTCUSDT", "1d", "2024-01-01", "2024-03-01"))
            while ", for binance" not in capsys.readouterr().err:
                assert not download.done()
                await asyncio.sleep(0.01)
            download.cancel()

    run(work())


def test_a_download_can_be_awaited() -> None:
    async def work() -> None:
        async with world() as client:
            report = await client.download(["BTCUSDT", "ETHUSDT"], "1h", "2024-04-01", "2024-05-01", progress=False)
            assert report.is_complete and report.rows == 2 * 720

    run(work())


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nobody complains of what was left behind: neither asyncio nor (by pytest's settings) Python itself."""
    yield
    gc.collect()
    assert [one.getMessage() for one in caplog.records if one.name == "asyncio"] == []


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
