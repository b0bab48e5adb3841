"""Rate limits in the notation of the library `limits`, and the header fields that describe them."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from limits import RateLimitItem, parse_many

from users_api.rate_limits.windows import Window

MAX_AMOUNT: Final = 1_000_000_000
MAX_SECONDS: Final = 24 * 60 * 60
ZERO_UNITS: Final = re.compile(r"(/|per)\s*0+\s*[a-z]", re.IGNORECASE)  # `limits` reads 5/0day as 5/day.


class Decision(NamedTuple):
    """Whether a request is allowed, header fields for its response, and the seconds to wait if it is not."""

    allowed: bool
    fields: list[tuple[bytes, bytes]]
    retry_after: int


UNCOUNTED: Final = Decision(allowed=True, fields=[], retry_after=0)


class RateLimits:
    """Limits that all apply to each request.

    The fields are those of draft-ietf-httpapi-ratelimit-headers-11, which version 10 has likewise.
    """

    def __init__(self, items: Sequence[RateLimitItem]) -> None:
        """Name each limit in the fields, like `100-per-minute`."""
        self.items: Final = tuple(items)
        policies = [f'"{_name(item)}";q={item.amount};w={item.get_expiry()}' for item in self.items]
        self.policy: Final = b"ratelimit-policy", ", ".join(policies).encode()
        self._format = ", ".join(f'"{_name(item)}";r=%d;t=%d' for item in self.items).encode()

    @classmethod
    def parse(cls, text: str) -> "RateLimits":
        """Return the limits that the text names; one that is repeated counts once.

        Raises:
            ValueError: the text is wrong; the message continues after the name of a setting.
        """
        try:
            items = [] if ZERO_UNITS.search(text) else list(dict.fromkeys(parse_many(text)))
        except ValueError:
            items = []
        if not items:
            message = f"must be limits like 100/minute or 10/second;1000/hour, not {text!r}"
            raise ValueError(message)
        for item in items:
            if not (1 <= item.amount <= MAX_AMOUNT and item.get_expiry() <= MAX_SECONDS):
                message = f"must allow from 1 to {MAX_AMOUNT} requests in at most a day, not {text!r}"
                raise ValueError(message)
        return cls(items)

    def allow(self, windows: Sequence[Window]) -> Decision:
        """Return the decision to allow a request, which the windows contain."""
        return Decision(allowed=True, fields=self._fields(windows), retry_after=0)

    def reject(self, windows: Sequence[Window]) -> Decision:
        """Return the decision to reject a request until all exhausted limits allow one."""
        waits = [window.replenished_in for window in windows if not window.remaining]
        retry_after = max(waits, default=1)
        fields = [*self._fields(windows), (b"retry-after", b"%d" % retry_after)]
        return Decision(allowed=False, fields=fields, retry_after=retry_after)

    def _fields(self, windows: Sequence[Window]) -> list[tuple[bytes, bytes]]:
        numbers: list[int] = []
        for window in windows:
            numbers += window.remaining, window.replenished_in
        return [self.policy, (b"ratelimit", self._format % tuple(numbers))]


def _name(item: RateLimitItem) -> str:
    unit = item.GRANULARITY.name
    return f"{item.amount}-per-{unit if item.multiples == 1 else f'{item.multiples}-{unit}s'}"
