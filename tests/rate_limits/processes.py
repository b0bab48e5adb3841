"""Processes that share memory with the tests."""

import os
import signal
from collections.abc import Callable


def fork(work: Callable[[], object]) -> int:
    """Return the process that does the work."""
    child = os.fork()
    if not child:  # pragma: no cover -- coverage does not see it leave.
        try:
            work()
        finally:
            os._exit(0)
    return child


def kill(child: int) -> None:
    """Kill the process."""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
