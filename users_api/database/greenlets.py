"""Functions in greenlets: while one waits, the event loop runs the others."""

import asyncio
import sys
import time
from collections.abc import Callable
from threading import Lock, local
from typing import Any, Final, TypeVar

from greenlet import getcurrent, greenlet

MAX_CACHED: Final = 64
STEP_SECONDS: Final = 0.005
Result = TypeVar("Result")


class ReusableGreenlet(greenlet):
    """A greenlet that runs one function after another, each of which may wait for awaitables.

    SQLAlchemy's `greenlet_spawn` creates one per call, and the stack of each is mapped and unmapped.
    """

    result: Any = None

    def run(self, function: Callable[[], Any]) -> None:
        """Run the function, store its result, switch back with this greenlet as the signal, and repeat."""
        while True:
            self.result = function()
            function = self.wait_for(self)

    def wait_for(self, awaitable: Any) -> Any:
        """Return the awaitable's result; the event loop runs others until then."""
        return self.parent.switch(awaitable)  # type: ignore[union-attr]  # a running greenlet has a parent.


class GreenletCache(local):
    """The idle greenlets of a thread, since a greenlet cannot leave the thread that created it."""

    def __init__(self) -> None:
        """Start empty."""
        self.greenlets: list[ReusableGreenlet] = []

    def add(self, idle: ReusableGreenlet) -> None:
        """Keep the greenlet, up to MAX_CACHED of them.

        One that is not kept must end first: its own stack refers to it, invisible to the garbage collector.
        """
        if len(self.greenlets) < MAX_CACHED:
            self.greenlets.append(idle)
        else:
            idle.throw()


cache: Final = GreenletCache()


async def run_in_greenlet(function: Callable[[], Result], seconds: float) -> Result:
    """Return the function's result; whenever it waits, the event loop runs others.

    Raises:
        TimeoutError: the function waited longer than that; a connection that it waited for is closed.
    """
    runner = cache.greenlets.pop() if cache.greenlets else ReusableGreenlet()
    runner.gr_context = getcurrent().gr_context
    awaited = runner.switch(function)
    if awaited is not runner:
        async with asyncio.timeout(seconds):
            runner = await _await_for(runner, awaited)
    result: Result = runner.result
    runner.result = None
    cache.add(runner)
    return result


def waiting_greenlet() -> ReusableGreenlet | None:
    """Return the current greenlet if it may wait, None outside of `run_in_greenlet`."""
    current = getcurrent()
    return current if isinstance(current, ReusableGreenlet) else None


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, None if there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def pause() -> None:
    """Sleep for STEP_SECONDS; the event loop runs others while a greenlet sleeps."""
    greenlet = waiting_greenlet()
    if greenlet is None:
        time.sleep(STEP_SECONDS)
    else:
        greenlet.wait_for(asyncio.sleep(STEP_SECONDS))


class SharedLock:
    """A lock for greenlets and threads that may be held during a wait: acquiring it polls."""

    def __init__(self) -> None:
        """Start unlocked."""
        self._lock = Lock()

    def __enter__(self) -> None:
        """Return once the lock is acquired."""
        while not self._lock.acquire(blocking=False):
            pause()

    def __exit__(self, *_failure: object) -> None:
        """Release the lock."""
        self._lock.release()


async def _await_for(runner: ReusableGreenlet, awaited: Any) -> Any:
    """Await whatever the greenlet waits for until its function returns, and return the greenlet."""
    while awaited is not runner:
        try:
            result = await awaited
        except BaseException:  # noqa: BLE001 -- the function gets every failure of its wait, cancellation included.
            awaited = runner.throw(*sys.exc_info())
        else:
            awaited = runner.switch(result)
    return runner
