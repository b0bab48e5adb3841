"""What an operator watches: how many requests had which outcome, and how long they took, counted over all workers.

Prometheus's own client takes ten times as long over several processes (7 µs a request), and leaves a file for each worker that
has ended.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import accumulate
from mmap import PAGESIZE, mmap
from time import perf_counter
from typing import Any, Final

from connexion.middleware.abstract import ROUTING_CONTEXT
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from users_api.config import SEATS

MEDIA_TYPE: Final = "text/plain; version=0.0.4"  # Prometheus's "Exposition formats".
STATUSES: Final = (0, 200, 201, 304, 307, 400, 404, 405, 408, 412, 413, 415, 500, 503)
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
NO_OPERATION: Final = "none"
CELL_BYTES: Final = 8


class Memory:
    """Rows of numbers that all workers see, when it was made before they were forked; each worker writes its own row only."""

    def __init__(self) -> None:
        """Begin with zeros; what is never used is never taken from the system."""
        whole = memoryview(mmap(-1, (1 + SEATS) * PAGESIZE))
        self._used = whole[:SEATS]
        self._rows = [whole[start : start + PAGESIZE].cast("Q") for start in range(PAGESIZE, len(whole), PAGESIZE)]
        self.sit(0)

    def sit(self, seat: int) -> None:
        """Write to this seat's row from now on, and go on where its last owner has ended."""
        self._used[seat] = 1
        self.own = self._rows[seat]

    def sums(self) -> list[int]:
        """Return the numbers of all workers together."""
        return [
            sum(cells) for cells in zip(*(row for row, used in zip(self._rows, self._used, strict=True) if used), strict=True)
        ]


@cache
def memory() -> Memory:
    """Return this process's memory, which the processes that are forked from it share."""
    return Memory()


class Metrics:
    """The counters of each operation: its answers by their statuses, its times by their bounds, and their sum."""

    def __init__(self, operations: Iterable[str]) -> None:
        """Lay out the memory's rows."""
        width = len(STATUSES) + len(SECONDS) + 2
        self._starts = {name: number * width for number, name in enumerate((NO_OPERATION, *operations))}
        if len(self._starts) * width * CELL_BYTES > PAGESIZE:
            message = "There are more operations than a page of memory has room for."
            raise ValueError(message)
        self._statuses = {status: cell for cell, status in enumerate(STATUSES)}
        self._memory = memory()

    def add(self, operation: str, status: int, seconds: float) -> None:
        """Count an answer."""
        row, start = self._memory.own, self._starts[operation]
        row[start + self._statuses.get(status, 0)] += 1
        start += len(STATUSES)
        row[start + bisect_left(SECONDS, seconds)] += 1
        row[start + len(SECONDS) + 1] += int(seconds * 1_000_000)

    def text(self) -> str:
        """Return all counters in Prometheus's text format."""
        sums = self._memory.sums()
        return "\n".join([*self._answers(sums), *self._times(sums), ""])

    def _answers(self, sums: list[int]) -> Iterator[str]:
        name = "http_requests_total"
        yield f"# HELP {name} Requests by operation and the status of their answer, 0 where the caller did not wait for one."
        yield f"# TYPE {name} counter"
        for operation, start in self._starts.items():
            for status, times in zip(STATUSES, sums[start:], strict=False):
                if times:
                    yield f'{name}{{operation="{operation}",status="{status}"}} {times}'

    def _times(self, sums: list[int]) -> Iterator[str]:
        name = "http_request_duration_seconds"
        yield f"# HELP {name} Time from a request's head to the end of its answer."
        yield f"# TYPE {name} histogram"
        for operation, start in self._starts.items():
            *times, microseconds = sums[start + len(STATUSES) :][: len(SECONDS) + 2]
            if any(times):
                label = f'operation="{operation}"'
                for bound, total in zip((*SECONDS, "+Inf"), accumulate(times), strict=True):
                    yield f'{name}_bucket{{{label},le="{bound}"}} {total}'
                yield f"{name}_sum{{{label}}} {microseconds / 1_000_000}"
                yield f"{name}_count{{{label}}} {sum(times)}"


class Meter:
    """Stands outside of everything that answers, and counts each answer."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Stand before the application."""
        self.app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and look at its answer's status on the way out."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = perf_counter(), 0

        def look(message: Message) -> Any:
            nonlocal status
            status = message.get("status", status)
            return send(message)

        try:
            await self.app(scope, receive, look)
        finally:
            routing = scope.get("extensions", {}).get(ROUTING_CONTEXT)
            operation = (
                routing["operation_id"].rpartition(".")[2] if routing else NO_OPERATION
            )  # Connexion adds the handlers' module.
            self._metrics.add(operation, status, perf_counter() - began)
