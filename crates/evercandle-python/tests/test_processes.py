"""Threads share a client, forked processes do not, and Ctrl-C is obeyed."""

from __future__ import annotations

import _thread
import multiprocessing
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import evercandle
import pytest

from .conftest import DAY, NOW, PATIENT, STUCK, STUCK_AT, STUCK_ENDS, check, check_stuck, wait_until_asked

# A child that hangs is ended by this, and the test fails.
PATIENCE = 60


def test_threads_share_a_client_and_a_slice_wanted_twice_is_fetched_once(client: evercandle.Client) -> None:
    def ask(number: int) -> float:
        return float(client.get_data("BTCUSDT", "1m", *DAY, priority="bulk").to_polars()["close"].sum())

    with ThreadPoolExecutor(8) as threads:
        sums = set(threads.map(ask, range(32)))
    assert len(sums) == 1
    archives = client.simulator.requests("BTCUSDT-1m-2024-04-02.zip")
    assert len([one for one in archives if one.endswith(".zip")]) == 1


def test_other_threads_run_while_a_call_waits() -> None:
    with evercandle.Client(simulate=evercandle.Simulation(seed=7, now=NOW), settings=PATIENT) as client:
        client.simulator.inject("black_hole")

        def interrupt() -> None:
            wait_until_asked(client)
            _thread.interrupt_main()

        other = threading.Thread(target=interrupt)
        other.start()
        with pytest.raises(KeyboardInterrupt):
            client.get_data("BTCUSDT", "1m", *DAY)
        other.join()


def test_a_client_that_another_thread_closes_still_answers_what_it_was_asked(client: evercandle.Client) -> None:
    client.simulator.inject("latency", milliseconds=400)
    with ThreadPoolExecutor(1) as threads:
        question = threads.submit(client.get_data, "BTCUSDT", "1h", *DAY)
        wait_until_asked(client)
        client.close()
        assert len(question.result(PATIENCE)) == 24


@pytest.mark.parametrize("end", STUCK_ENDS)
def test_a_download_ends_when_another_thread_closes_its_client(end: Any, tmp_path: Path) -> None:
    client = evercandle.Client(
        simulate=evercandle.Simulation(seed=7, now=NOW), cache_dir=tmp_path, settings=PATIENT
    )
    simulator = client.simulator
    simulator.inject("black_hole", path=STUCK_AT)
    with ThreadPoolExecutor(1) as threads:
        download = threads.submit(client.download, **{**STUCK, "end": end})
        wait_until_asked(client, STUCK_AT)
        client.close()
        with pytest.raises(evercandle.ClosedError):
            download.result(PATIENCE)
    check_stuck(simulator, tmp_path)


def run(code: str) -> subprocess.CompletedProcess[str]:
    """A program of its own: forking one that has the threads of a test runner would prove nothing."""
    head = "import os, sys, time, evercandle\n" + f"NOW = {NOW!r}\nDAY = {DAY!r}\n"
    program = head + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE)


def test_a_forked_child_gets_an_error_from_its_parents_client_and_can_make_its_own() -> None:
    done = run(
        """
        client = evercandle.Client(simulate=evercandle.Simulation(seed=7, now=NOW))
        klines = client.get_data("BTCUSDT", "1m", *DAY)
        expected = klines.to_numpy("close").sum()
        child = os.fork()
        if child == 0:
            for ask in (lambda: client.get_data("BTCUSDT", "1m", *DAY), lambda: client.price("BTCUSDT"),
                        lambda: client.health(), lambda: client.cache.ls(), lambda: client.simulator):
                try:
                    ask()
                    os._exit(1)
                except evercandle.ForkError as error:
                    assert "make a new Client here" in str(error), error
            # What was answered before is the child's too.
            assert klines.to_numpy("close").sum() == expected
            assert len(klines.segments) == 1
            with evercandle.Client(simulate=evercandle.Simulation(seed=7, now=NOW)) as own:
                assert own.get_data("BTCUSDT", "1m", *DAY).to_numpy("close").sum() == expected
            client.close()
            del client
            os._exit(42)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 42, status
        # The parent is as it was.
        assert client.cache.path.is_dir()
        client.get_data("ETHUSDT", "1h", *DAY)
        client.close()
        print("whole")
        """
    )
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr


def test_clients_can_be_looked_at_wherever_they_are() -> None:
    done = run(
        """
        client = evercandle.Client(simulate=evercandle.Simulation(seed=7, now=NOW))
        child = os.fork()
        if child == 0:
            print(repr(client), repr(client.cache), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        client.close()
        print(repr(client), repr(client.cache))
        """
    )
    assert done.stdout == "<Client forked> <Cache forked>\n<Client closed> <Cache closed>\n", done.stderr


def test_the_packages_functions_work_in_forked_children() -> None:
    done = run(
        """
        import multiprocessing
        def ask(symbol):
            return len(evercandle.get_data(symbol, "1h", *DAY, simulate=True))
        if __name__ == "__main__":
            assert ask("BTCUSDT") == 24
            with multiprocessing.get_context("fork").Pool(2) as pool:
                print(pool.map(ask, ["BTCUSDT", "ETHUSDT", "SOLUSDT"]))
        """
    )
    assert (done.returncode, done.stdout) == (0, "[24, 24, 24]\n"), done.stderr


def length(symbol: str) -> int:
    return len(evercandle.get_data(symbol, "1h", *DAY, simulate=True))


def test_spawned_processes_need_nothing() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(length, ["BTCUSDT"]) == [24]


@pytest.mark.parametrize(
    "call",
    [
        'client.get_data("BTCUSDT", "1m", *DAY)',
        'client.price("BTCUSDT")',
        'client.download("BTCUSDT", "1m", *DAY, progress=False)',
    ],
)
def test_ctrl_c_ends_a_long_call_at_once(call: str) -> None:
    done = run(
        f"""
        import signal, threading
        client = evercandle.Client(simulate=evercandle.Simulation(seed=7, now=NOW), settings={PATIENT!r})
        client.simulator.inject("black_hole")
        def interrupt():
            while not client.simulator.requests():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=interrupt).start()
        try:
            {call}
            print("answered?")
        except KeyboardInterrupt:
            print("interrupted")
        client.close()
        """
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


def test_a_program_ends_although_nobody_closed_anything() -> None:
    done = run(
        """
        client = evercandle.Client(simulate=evercandle.Simulation(seed=7, now=NOW))
        klines = client.get_data("BTCUSDT", "1m", *DAY)
        evercandle.get_data("BTCUSDT", "1h", *DAY, simulate=True)
        frame = klines.to_numpy()
        print(len(klines))
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1440\n", "")


def test_a_download_is_let_go_with_a_loop_that_is_closed_under_it() -> None:
    """asyncio itself complains of tasks that nobody ended; but nothing is raised where nobody is told."""
    done = run(
        """
        import asyncio, gc, weakref
        client = evercandle.AsyncClient(simulate=evercandle.Simulation(seed=7, now=NOW))
        client.simulator.inject("black_hole")
        async def begin():
            download = asyncio.ensure_future(client.download("BTCUSDT", "1m", *DAY, progress=False))
            while not client.simulator.requests():
                await asyncio.sleep(0.01)
            return download
        loop = asyncio.new_event_loop()
        download = loop.run_until_complete(begin())
        loop.close()
        asyncio.run(client.close())
        dropped = weakref.ref(download)
        del download, loop
        while dropped():
            gc.collect()
            time.sleep(0.01)
        print("closed")
        """
    )
    assert (done.returncode, done.stdout) == (0, "closed\n"), done.stderr
    assert "Task was destroyed" in done.stderr and "Exception ignored" not in done.stderr


def test_two_processes_share_a_cache(tmp_path: Any) -> None:
    world = evercandle.Simulation(seed=7, now=NOW)
    with evercandle.Client(simulate=world, cache_dir=tmp_path) as client:
        check(client, client.get_data("BTCUSDT", "1m", *DAY))
    done = run(
        f"""
        client = evercandle.Client(cache_dir={str(tmp_path)!r}, settings={{"internet": "http://127.0.0.1:9"}})
        klines = client.get_data("BTCUSDT", "1m", *DAY)
        print(len(klines), klines.segments[0].via)
        """
    )
    assert (done.returncode, done.stdout) == (0, "1440 cache\n"), done.stderr


def test_a_signal_handler_may_raise_what_it_likes() -> None:
    class Alarm(Exception):
        pass

    def ring(number: int, frame: object) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with evercandle.Client(simulate=evercandle.Simulation(seed=7, now=NOW), settings=PATIENT) as client:
            client.simulator.inject("black_hole")
            with pytest.raises(Alarm):
                signal.setitimer(signal.ITIMER_REAL, 0.3)
                client.get_data("BTCUSDT", "1m", *DAY)
    finally:
        signal.signal(signal.SIGALRM, before)
