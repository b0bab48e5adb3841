"""Waiting for what takes a moment, without guessing how long."""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 60
STEP_SECONDS = 0.02


def until(condition: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS) -> None:
    """Return as soon as the condition holds.

    Raises:
        TimeoutError: it does not within the seconds.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(STEP_SECONDS)
