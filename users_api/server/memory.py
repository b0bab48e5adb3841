"""The memory of a worker that its clients may hold: requests in progress, and unread responses."""

from collections.abc import Callable
from typing import Final, Protocol

FREE_BYTES: Final = 16 * 1024


class SlowReader(Protocol):
    """A connection whose client has not yet read all of a response."""

    def disconnect(self) -> None:
        """Disconnect the client."""


class MemoryBudget:
    """Half of the budget is for requests, half for unread responses, so that neither uses up the other."""

    def __init__(self, limit: int, on_relief: Callable[[], None] = lambda: None) -> None:
        """Start empty; the limit is in bytes.

        `on_relief` is called when usage falls below an eighth after it exceeded half of a limit.
        """
        self._limit, self._on_relief, self._was_high = limit // 2, on_relief, False
        self._requests = self._responses = 0
        self._readers: dict[SlowReader, int] = {}

    def hold_requests(self, change: int) -> bool:
        """Add bytes of requests, or remove them if negative; return whether the budget has room for them."""
        self._requests += change
        self._was_high = self._was_high or self._requests > self._limit // 2
        self._check_usage()
        return self._requests <= self._limit

    def hold_response(self, reader: SlowReader, size: int) -> None:
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
            slowest.disconnect()

    def release_response(self, reader: SlowReader) -> None:
        """Count a response as read, if it is counted at all."""
        self._responses -= self._readers.pop(reader, 0)
        self._check_usage()

    def _check_usage(self) -> None:
        if self._was_high and max(self._requests, self._responses) <= self._limit // 8:
            self._was_high = False
            self._on_relief()


class HeldRequests:
    """What one connection holds: the requests in the pipeline, the running and the arriving one.

    The first `FREE_BYTES` are not counted: when large requests use up the budget, small ones still pass.
    Their number is limited by the number of connections.
    """

    def __init__(self, budget: MemoryBudget) -> None:
        """Count against the budget."""
        self._budget = budget
        self.body_size = 0
        """The size of the body that arrives."""
        self._head = self._last = self._earlier = self._counted = 0

    def hold_head(self, size: int) -> bool:
        """Count the part of a head that has arrived; return whether the budget has room for it."""
        self._head = size
        return self._count()

    def begin(self, head_size: int) -> bool:
        """Begin a request whose head is complete; return whether the budget has room for it."""
        self._earlier += self._last
        self._last, self._head, self.body_size = head_size, 0, 0
        return (not self._counted and self._earlier + head_size <= FREE_BYTES) or self._count()

    def add(self, size: int) -> bool:
        """Add bytes to the body; return whether the budget has room for them."""
        self.body_size += size
        self._last += size
        return self._count()

    def release_last(self) -> None:
        """Release the request that arrived last."""
        self._last = 0
        self._count()

    def release_earlier(self) -> None:
        """Release all other requests."""
        self._earlier = 0
        self._count()

    def release(self) -> None:
        """Release all requests, but not the part of a head."""
        self._last = self._earlier = 0
        if self._counted:
            self._count()

    def _count(self) -> bool:
        excess = self._head + self._last + self._earlier - FREE_BYTES
        if excess <= 0 and not self._counted:
            return True
        change = max(0, excess) - self._counted
        self._counted += change
        return self._budget.hold_requests(change)
