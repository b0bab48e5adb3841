"""Stops using another service for a moment after it failed."""

from collections.abc import Callable
from typing import Final

PAUSE_SECONDS: Final = 1.0


class CircuitBreaker:
    """Allows all attempts until one fails, and then one in each `PAUSE_SECONDS` until one succeeds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start with a service that works; the clock is in seconds."""
        self._clock = clock
        self._next_attempt: float | None = None

    def allows_attempt(self) -> bool:
        """Return whether to use the service now; the outcome is reported afterwards, if there is one."""
        if self._next_attempt is None:
            return True
        if self._clock() < self._next_attempt:
            return False
        self.fail()  # Others do not wait for the outcome.
        return True

    def succeed(self) -> None:
        """Report that the service works."""
        self._next_attempt = None

    def fail(self) -> None:
        """Report that the service does not work."""
        self._next_attempt = self._clock() + PAUSE_SECONDS
