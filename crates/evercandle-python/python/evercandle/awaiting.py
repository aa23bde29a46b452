"""How a question is awaited that other threads answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._native import Pending


async def answer(start: Callable[[Callable[[Any, BaseException | None], None]], Pending]) -> Any:
    """Waits for a question under way without holding up the loop."""
    import asyncio

    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def done(result: Any, error: BaseException | None) -> None:
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            pass  # The loop is closed: nobody waits any more.

    pending = start(done)
    try:
        return await future
    finally:
        pending.cancel()
