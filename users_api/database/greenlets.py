"""Functions in greenlets: while one waits, the event loop runs the others."""

import asyncio
import sys
import time
from collections.abc import Callable
from threading import Lock, local
from typing import Any, Final, TypeVar

from greenlet import getcurrent, greenlet

MAX_CACHED_GREENLETS: Final = 64
POLL_SECONDS: Final = 0.005
Result = TypeVar("Result")


class ReusableGreenlet(greenlet):
    """A greenlet that runs one function after another, each of which may wait for awaitables.

    SQLAlchemy's `greenlet_spawn` creates one per call, and the stack of each is mapped and unmapped.
    """

    result: Any = None

    def run(self, function: Callable[[], Any]) -> None:
        """Run the function, store its result, switch to the parent to signal completion, and repeat."""
        while True:
            self.result = function()
            del function  # An idle greenlet must not keep a request alive, nor, below, its context.
            function = self.wait_for(self)

    def wait_for(self, awaitable: Any) -> Any:
        """Return the awaitable's result; the event loop runs others until then."""
        return self.parent.switch(awaitable)  # type: ignore[union-attr]  # a running greenlet has a parent.


class GreenletCache(local):
    """The idle greenlets of a thread, because a greenlet cannot move to another thread."""

    def __init__(self) -> None:
        """Start empty."""
        self.greenlets: list[ReusableGreenlet] = []

    def add(self, idle: ReusableGreenlet) -> None:
        """Keep the greenlet, up to MAX_CACHED_GREENLETS of them.

        One that is not kept must end first: its own stack refers to it, invisible to the garbage collector.
        """
        if len(self.greenlets) < MAX_CACHED_GREENLETS:
            idle.gr_context = None
            self.greenlets.append(idle)
        else:
            idle.throw()


idle_greenlets: Final = GreenletCache()


class Deadline:
    """Cancels a wait that takes too long, as `asyncio.timeout` does, at about a third of its cost.

    Raises:
        TimeoutError: at the end of the block, in place of the cancellation.
    """

    __slots__ = ("_cancelling", "_expired", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        """Start the timer."""
        self._task: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment]  # there is one.
        self._cancelling, self._expired = self._task.cancelling(), False
        self._timer = self._task.get_loop().call_later(seconds, self._expire)

    def __enter__(self) -> None:
        """Do nothing more."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        """Stop the timer; a cancellation that comes from elsewhere is passed on."""
        self._timer.cancel()
        if (
            self._expired
            and self._task.uncancel() <= self._cancelling
            and isinstance(error, asyncio.CancelledError)
        ):
            raise TimeoutError from error

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()


async def run_in_greenlet(function: Callable[[], Result], seconds: float) -> Result:
    """Return the function's result; whenever it waits, the event loop runs others.

    Raises:
        TimeoutError: the function waited longer than that; a connection that it waited for is closed.
    """
    runner = idle_greenlets.greenlets.pop() if idle_greenlets.greenlets else ReusableGreenlet()
    runner.gr_context = getcurrent().gr_context
    awaited = runner.switch(function)
    if awaited is not runner:
        with Deadline(seconds):
            runner = await _drive(runner, awaited)
    result: Result = runner.result
    runner.result = None
    idle_greenlets.add(runner)
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


def sleep_briefly() -> None:
    """Sleep for POLL_SECONDS; the event loop runs others while a greenlet sleeps."""
    greenlet = waiting_greenlet()
    if greenlet is None:
        time.sleep(POLL_SECONDS)
    else:
        greenlet.wait_for(asyncio.sleep(POLL_SECONDS))


class SharedLock:
    """A lock for greenlets and threads that may be held during a wait: acquiring it polls."""

    def __init__(self) -> None:
        """Start unlocked."""
        self._lock = Lock()

    def __enter__(self) -> None:
        """Return once the lock is acquired."""
        while not self._lock.acquire(blocking=False):
            sleep_briefly()

    def __exit__(self, *_failure: object) -> None:
        """Release the lock."""
        self._lock.release()


async def _drive(runner: ReusableGreenlet, awaited: Any) -> Any:
    """Await whatever the greenlet waits for until its function returns, and return the greenlet."""
    while awaited is not runner:
        try:
            result = await awaited
        except BaseException:  # noqa: BLE001 -- the function gets every failure of its wait, cancellation included.
            awaited = runner.throw(*sys.exc_info())
        else:
            awaited = runner.switch(result)
    return runner
