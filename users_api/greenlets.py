"""Requests in greenlets: whenever one waits, the event loop goes on, so that nobody else waits along."""

import asyncio
import sys
from collections.abc import Callable
from threading import local
from typing import Any, Final, TypeVar

from greenlet import getcurrent, greenlet

MOST_IDLE: Final = 64
Result = TypeVar("Result")


class Fiber(greenlet):
    """A greenlet that runs one function after another, and may wait amid each.

    SQLAlchemy's `greenlet_spawn` makes a new one each time, for whose frames memory is mapped and unmapped.
    """

    __sqlalchemy_greenlet_provider__ = True  # So SQLAlchemy's own `await_` works in it.
    result: Any = None

    def run(self, function: Callable[[], Any]) -> None:
        """Run the function, keep its result, tell so by handing over this fiber, and go on with the next function."""
        while True:
            self.result = function()
            function = self.wait_for(self)

    def wait_for(self, what: Any) -> Any:
        """Let the event loop go on until it has what this fiber waits for."""
        return self.parent.switch(what)  # type: ignore[union-attr]  # whoever is running has a parent.


class Idle(local):
    """The fibers that have nothing to do; a greenlet stays in its thread."""

    def __init__(self) -> None:
        """Begin without any."""
        self.fibers: list[Fiber] = []

    def add(self, fiber: Fiber) -> None:
        """Keep the fiber; more than a few are not worth their memory.

        One that is let go must end first: its own stack holds it, where the garbage collector does not look.
        """
        if len(self.fibers) < MOST_IDLE:
            self.fibers.append(fiber)
        else:
            fiber.throw()


idle: Final = Idle()


async def in_fiber(function: Callable[[], Result], seconds: float) -> Result:
    """Return what the function returns; whenever it waits for PostgreSQL, the event loop goes on.

    Raises:
        TimeoutError: it has waited so long, and waits no more; a connection that it waited for is closed.
    """
    fiber = idle.fibers.pop() if idle.fibers else Fiber()
    fiber.gr_context = getcurrent().gr_context
    waits_for = fiber.switch(function)
    if waits_for is not fiber:
        async with asyncio.timeout(seconds):
            fiber = await _serve(fiber, waits_for)
    result: Result = fiber.result
    fiber.result = None
    idle.add(fiber)
    return result


async def _serve(fiber: Fiber, waits_for: Any) -> Any:
    """Wait for whatever the fiber waits for, until its function has returned, and return the fiber."""
    while waits_for is not fiber:
        try:
            got = await waits_for
        except BaseException:  # noqa: BLE001 -- the function is to hear of it, whatever it is.
            waits_for = fiber.throw(*sys.exc_info())
        else:
            waits_for = fiber.switch(got)
    return fiber
