"""The sliding windows that requests are counted in, as the library `limits` weighs them."""

from math import floor
from typing import Final, NamedTuple

from limits import RateLimitItem

ROUNDING_SECONDS: Final = 0.001  # Redis counts milliseconds.


class Window(NamedTuple):
    """What a key has used of a limit: the requests of this window, and a share of those of the window before.

    The share decreases to nothing until this window ends.
    """

    limit: int
    seconds: int
    previous: int
    share: int
    current: int
    ends_in: float

    @classmethod
    def of(cls, item: RateLimitItem, counts: tuple[int, float, int, float]) -> "Window":
        """Return the window that a storage's `get_sliding_window` describes.

        In Redis, an unused window has no end yet.
        """
        seconds, (previous, previous_ttl, current, current_ttl) = item.get_expiry(), counts
        ends_in = previous_ttl if previous else current_ttl - seconds if current_ttl else seconds
        return cls(item.amount, seconds, previous, floor(previous * ends_in / seconds), current, ends_in)

    def with_one_more(self) -> "Window":
        """Return the window after one more request."""
        limit, seconds, previous, share, current, ends_in = self
        return Window(limit, seconds, previous, share, current + 1, ends_in)

    @property
    def remaining(self) -> int:
        """Return the number of requests that are allowed now."""
        return max(0, self.limit - self.share - self.current)

    @property
    def replenished_in(self) -> int:
        """Return after how many seconds, rounded up, one more request is allowed.

        At the very moment when a request stops counting, the stores still count it. An unused window is
        replenished after its length.
        """
        if not self.share and not self.current:
            return self.seconds
        lead = self.share * self.seconds / self.previous if self.share else 0
        return floor(self.ends_in - lead + ROUNDING_SECONDS) + 1
