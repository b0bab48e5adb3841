"""The memory of a worker that clients may hold: bodies of requests in progress, and unread responses."""

from collections.abc import Callable
from typing import Final, Protocol

FREE_BYTES: Final = 16 * 1024


class Reader(Protocol):
    """A connection whose client has not yet read all of a response."""

    def drop_unread_response(self) -> None:
        """Disconnect the client."""


class MemoryBudget:
    """Half of the budget is for request bodies, half for unread responses, so that neither uses up the other.

    The first `FREE_BYTES` of a body are not counted: when large bodies use up the budget, small ones still
    pass. Their number is limited by the number of connections.
    """

    def __init__(self, limit: int, on_relief: Callable[[], None] = lambda: None) -> None:
        """Start empty; the limit is in bytes. `on_relief` is called when nothing is held after a lot was."""
        self._limit, self._on_relief, self._was_high = limit // 2, on_relief, False
        self._bodies = self._responses = 0
        self._readers: dict[Reader, int] = {}

    def hold_body(self, size: int) -> bool:
        """Count bytes of a body; return whether the budget has room for them."""
        self._bodies += size
        self._was_high = self._was_high or self._bodies > self._limit // 2
        return self._bodies <= self._limit

    def release_body(self, size: int) -> None:
        """Count bytes as released."""
        self._bodies -= size
        self._check_relief()

    def hold_response(self, reader: Reader, size: int) -> None:
        """Count a response that is not read yet; the clients that have been reading longest make room for it.

        A single response may exceed the budget, since without it the client would never receive it.
        """
        self.release_response(reader)
        self._readers[reader] = size
        self._responses += size
        self._was_high = self._was_high or self._responses > self._limit // 2
        while self._responses > self._limit and len(self._readers) > 1:
            slowest = next(iter(self._readers))
            self.release_response(slowest)
            slowest.drop_unread_response()

    def release_response(self, reader: Reader) -> None:
        """Count a response as read, if it is counted at all."""
        self._responses -= self._readers.pop(reader, 0)
        self._check_relief()

    def _check_relief(self) -> None:
        if self._was_high and not (self._bodies or self._responses):
            self._was_high = False
            self._on_relief()


class HeldBodies:
    """The bodies that one connection holds: one that arrives, and those of earlier pipelined requests."""

    def __init__(self, budget: MemoryBudget) -> None:
        """Count against the budget."""
        self._budget = budget
        self.size = 0
        """The size of the body that arrives, held or not."""
        self._last = self._earlier = 0

    def begin(self) -> None:
        """Begin the next body."""
        self._earlier += self._last
        self.size = self._last = 0

    def add(self, size: int) -> bool:
        """Add bytes to the body; return whether the budget has room for them."""
        self.size += size
        if self.size <= FREE_BYTES:
            return True
        self._last += size
        return self._budget.hold_body(size)

    def release_last(self) -> None:
        """Release the body that arrived last."""
        if self._last:
            self._budget.release_body(self._last)
            self._last = 0

    def release_earlier(self) -> None:
        """Release all other bodies."""
        if self._earlier:
            self._budget.release_body(self._earlier)
            self._earlier = 0

    def release(self) -> None:
        """Release all bodies."""
        self.release_last()
        self.release_earlier()
