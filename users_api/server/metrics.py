"""Prometheus metrics of all workers: requests by operation and status, and their durations.

Prometheus's own client takes ten times as long over several processes (7 µs a request), and leaves a file for each
worker that has exited.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import blake2b
from itertools import accumulate
from mmap import PAGESIZE, mmap
from time import perf_counter_ns
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from users_api.server.slots import SLOTS

MEDIA_TYPE: Final = "text/plain; version=0.0.4"  # Prometheus's "Exposition formats".
NO_OPERATION: Final = "none"
DISCONNECTED: Final = 0
SERVER_ERROR: Final = 500
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
NANOSECONDS: Final = tuple(round(seconds * 1e9) for seconds in SECONDS)
SUM: Final = len(SECONDS) + 1
HISTOGRAM_CELLS: Final = len(SECONDS) + 2
ROW_BYTES: Final = 512 * 1024
ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

# A key is an operation's hash and, in its lowest bits, what is counted: a status, or the histogram.
STATUS_BITS: Final = 10
HISTOGRAM: Final = (1 << STATUS_BITS) - 1
HASH_BYTES: Final = 6


class Row(dict[str, "OperationCounters"]):
    """One worker's counters in shared memory, by operation.

    A counter takes memory when it is first used: a cell for its key, then its own. So the row needs no layout, any
    process can read it, and one page is enough for a few dozen counters. Cells are 64 bits wide.
    """

    def __init__(self, cells: memoryview) -> None:
        """Continue with the counters of the slot's previous worker."""
        super().__init__()
        self.cells = cells
        self._firsts = dict(_counters(cells))
        self._end = max((first + _width(key) for key, first in self._firsts.items()), default=0)
        self._unread = len(cells) - HISTOGRAM_CELLS

    def __missing__(self, operation: str) -> "OperationCounters":
        """Add an operation."""
        self[operation] = counters = OperationCounters(self, _key(operation))
        return counters

    def allocate(self, key: int) -> int:
        """Return the first cell of a counter; in a full row, of cells that no one reads."""
        if key not in self._firsts:
            if self._end + 1 + _width(key) >= self._unread:
                return self._unread
            self.cells[self._end] = key
            self._firsts[key] = self._end + 1
            self._end += 1 + _width(key)
        return self._firsts[key]


class OperationCounters(dict[int, int]):
    """Where one operation is counted: each status's cell, and the histogram's first one."""

    def __init__(self, row: Row, key: int) -> None:
        """Allocate the histogram."""
        super().__init__()
        self._row, self._key = row, key
        self.histogram = row.allocate(key + HISTOGRAM)

    def __missing__(self, status: int) -> int:
        """Allocate a status's counter."""
        self[status] = cell = self._row.allocate(self._key + status)
        return cell


class SharedCounters:
    """A row for each slot, in memory that all workers see if it is created before they are forked.

    Each worker writes only its own row, so no lock is needed. The system allocates a page when it is first used.
    """

    def __init__(self) -> None:
        """Start with empty rows, and count into the first one until a worker claims another."""
        self._memory = memoryview(mmap(-1, PAGESIZE + SLOTS * ROW_BYTES))
        self._used = self._memory[:SLOTS]
        self.claim(0)

    def claim(self, slot: int) -> None:
        """Count into this slot's row from now on."""
        self._used[slot] = 1
        self.row = Row(self._cells(slot))

    def totals(self) -> dict[int, list[int]]:
        """Return the cells of each counter, summed over all rows."""
        totals: dict[int, list[int]] = {}
        for slot in (slot for slot, used in enumerate(self._used) if used):
            cells = self._cells(slot)
            for key, first in _counters(cells):
                values = cells[first : first + _width(key)].tolist()
                known = totals.get(key)
                totals[key] = [sum(pair) for pair in zip(known, values, strict=True)] if known else values
        return totals

    def _cells(self, slot: int) -> memoryview:
        start = PAGESIZE + slot * ROW_BYTES
        return self._memory[start : start + ROW_BYTES].cast("Q")


@cache
def shared_counters() -> SharedCounters:
    """Return this process's counters, which it shares with the processes that it forks."""
    return SharedCounters()


class Metrics:
    """The counters of a service's operations; any number of them, with any statuses.

    Raises:
        ValueError: two names have the same hash, so rename one.
    """

    def __init__(self, operation_names: Iterable[str]) -> None:
        """Count for these operations, and for requests that reach none of them."""
        names = dict.fromkeys((NO_OPERATION, *operation_names))
        self._names = {_key(name): name for name in names}
        if len(self._names) < len(names):
            message = "Two operations cannot be counted apart: rename one of them."
            raise ValueError(message)
        self._counters = shared_counters()

    def add(self, operation: str, status: int, nanoseconds: int) -> None:
        """Count a response; the status 0 is a client that disconnected before it."""
        row = self._counters.row
        cells, counters = row.cells, row[operation]
        histogram = counters.histogram
        cells[counters[status]] += 1
        cells[histogram + bisect_left(NANOSECONDS, nanoseconds)] += 1
        cells[histogram + SUM] += nanoseconds // 1000

    def text(self) -> str:
        """Return all counters in Prometheus's text format."""
        totals = self._counters.totals()
        return "\n".join([*self._requests(totals), *self._durations(totals), ""])

    def _requests(self, totals: dict[int, list[int]]) -> Iterator[str]:
        name = "http_requests_total"
        yield f"# HELP {name} Requests by operation and response status; 0 is a client that disconnected first."
        yield f"# TYPE {name} counter"
        counts: dict[int, list[tuple[int, int]]] = {}
        for key, (count, *rest) in sorted(totals.items()):
            if not rest:
                counts.setdefault(key & ~HISTOGRAM, []).append((key & HISTOGRAM, count))
        for key, operation in self._names.items():
            for status, count in counts.get(key, ()):
                yield f'{name}{{operation="{operation.translate(ESCAPES)}",status="{status}"}} {count}'

    def _durations(self, totals: dict[int, list[int]]) -> Iterator[str]:
        name = "http_request_duration_seconds"
        yield f"# HELP {name} Time from a request's head to the end of its response."
        yield f"# TYPE {name} histogram"
        for key, operation in self._names.items():
            if histogram := totals.get(key + HISTOGRAM):
                *counts, microseconds = histogram
                label = f'operation="{operation.translate(ESCAPES)}"'
                for bound, count in zip((*SECONDS, "+Inf"), accumulate(counts), strict=True):
                    yield f'{name}_bucket{{{label},le="{bound}"}} {count}'
                yield f"{name}_sum{{{label}}} {microseconds / 1_000_000}"
                yield f"{name}_count{{{label}}} {sum(counts)}"


class MetricsMiddleware:
    """Counts and times every response of the application that it wraps, so it must be the outermost middleware."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Wrap the application."""
        self.app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application and count its response; an exception is counted as the 500 that the server sends."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = perf_counter_ns(), DISCONNECTED

        def observe(message: Message) -> Any:
            nonlocal status
            status = message.get("status", status)
            return send(message)

        try:
            await self.app(scope, receive, observe)
        except Exception:
            status = status or SERVER_ERROR
            raise
        finally:
            operation = scope.get("operation")
            name = operation.metric_name if operation else NO_OPERATION
            self._metrics.add(name, status, perf_counter_ns() - start)


def _key(operation: str) -> int:
    """Return a number that is the same in every process, so that workers may serve different documents."""
    digest = blake2b(operation.encode(), digest_size=HASH_BYTES).digest()
    return int.from_bytes(digest, "big") << STATUS_BITS


def _width(key: int) -> int:
    """Return how many cells a counter has."""
    return HISTOGRAM_CELLS if key & HISTOGRAM == HISTOGRAM else 1


def _counters(cells: memoryview) -> Iterator[tuple[int, int]]:
    """Yield the key and the first cell of each counter in a row."""
    position = 0
    while key := cells[position]:
        yield key, position + 1
        position += 1 + _width(key)
