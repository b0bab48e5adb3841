"""Coroutines that are run step by step, so that one that waits for nothing costs only the call."""

from collections.abc import Callable, Coroutine, Generator
from time import perf_counter
from types import coroutine
from typing import Any

Report = Callable[[float], None]


async def run_and_report(running: Coroutine[Any, Any, Any], report: Report) -> Any:
    """Return the coroutine's result, and report the seconds that each step between waits took."""
    began = perf_counter()
    try:
        waits_for = running.send(None)
    except StopIteration as end:
        return end.value
    finally:
        report(perf_counter() - began)
    return await resume(running, waits_for, report)


@coroutine
def resume(
    running: Coroutine[Any, Any, Any], waits_for: Any, report: Report = lambda _seconds: None
) -> Generator[Any, Any, Any]:
    """Return the result of a coroutine that has made its first step and waits for this."""
    while True:
        step: Callable[[Any], Any] = running.send
        sent: Any = None
        try:
            sent = yield waits_for
        except BaseException as error:  # noqa: BLE001 -- the coroutine handles it or raises it again.
            sent, step = error, running.throw
        began = perf_counter()
        try:
            waits_for = step(sent)
        except StopIteration as end:
            return end.value
        finally:
            report(perf_counter() - began)
