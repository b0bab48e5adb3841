"""An event loop whose time passes only while it has nothing to do, so that hours take milliseconds."""

import asyncio
from collections.abc import Coroutine
from selectors import DefaultSelector, SelectorKey
from typing import Any, TypeVar

GRACE_SECONDS = 0.005  # The kernel may need a moment to deliver between two sockets of the loop.
DAY_SECONDS = 24 * 60 * 60

Result = TypeVar("Result")


class Clock(DefaultSelector):
    """Time that passes only while an event loop has nothing to do, so that a slow machine changes nothing."""

    now = 1000.0  # 0 is long ago.

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        ready = super().select(timeout and min(timeout, GRACE_SECONDS))
        if not ready:
            self.now += timeout or 0
        return ready


def loop_with(clock: Clock) -> asyncio.SelectorEventLoop:
    """Return a new event loop with this time."""
    loop = asyncio.SelectorEventLoop(clock)
    loop.time = lambda: clock.now  # type: ignore[method-assign]
    return loop


def run_in_virtual_time(main: Coroutine[Any, Any, Result]) -> Result:
    """Run the coroutine for at most a day; an exception that only the event loop sees fails it, too."""
    failures: list[dict[str, Any]] = []
    loop = loop_with(Clock())
    loop.set_exception_handler(lambda _, failure: failures.append(failure))
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(asyncio.wait_for(main, DAY_SECONDS))
    assert failures == []
    return result
