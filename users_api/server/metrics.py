"""Prometheus metrics of all workers: requests by operation and status, and their durations.

Prometheus's own client takes ten times as long with several processes (7 µs a request), and leaves a file for
each worker that has exited.
"""

from bisect import bisect_left
from collections.abc import Awaitable, Iterable, Iterator
from functools import cache
from hashlib import blake2b
from itertools import accumulate
from mmap import PAGESIZE, mmap
from time import perf_counter_ns
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from users_api.server.slots import MAX_SLOTS

MEDIA_TYPE: Final = "text/plain; version=0.0.4"  # Prometheus's "Exposition formats".
NO_OPERATION: Final = "none"
DISCONNECTED: Final = 0
SERVER_ERROR: Final = 500
BUCKET_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BUCKET_NANOSECONDS: Final = tuple(round(seconds * 1e9) for seconds in BUCKET_SECONDS)
SUM_CELL: Final = len(BUCKET_SECONDS) + 1
HISTOGRAM_WIDTH: Final = len(BUCKET_SECONDS) + 2
ROW_BYTES: Final = 512 * 1024
ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

# A key is an operation's hash and, in its lowest bits, what is counted: a status, or the histogram.
STATUS_BITS: Final = 10
HISTOGRAM: Final = (1 << STATUS_BITS) - 1
HASH_BYTES: Final = 6


class WorkerCounters(dict[str, "OperationCounters"]):
    """One worker's counters in shared memory, by operation.

    A counter is allocated on first use: a cell for its key, then those of its value. So the layout is not
    fixed, any process can read it, and one page is enough for a few dozen counters. Cells are 64 bits wide.
    """

    def __init__(self, cells: memoryview) -> None:
        """Continue with the counters of the slot's previous worker."""
        super().__init__()
        self.cells = cells
        self._first_cells = dict(_counters(cells))
        self._free_cell = max(
            (first + _cell_count(key) for key, first in self._first_cells.items()), default=0
        )
        self._scratch = len(cells) - HISTOGRAM_WIDTH

    def __missing__(self, operation: str) -> "OperationCounters":
        """Add an operation."""
        self[operation] = counters = OperationCounters(self, _operation_key(operation))
        return counters

    def allocate(self, key: int) -> int:
        """Return the first cell of a counter; in a full row, of cells that are never read."""
        if key not in self._first_cells:
            if self._free_cell + 1 + _cell_count(key) >= self._scratch:
                return self._scratch
            self.cells[self._free_cell] = key
            self._first_cells[key] = self._free_cell + 1
            self._free_cell += 1 + _cell_count(key)
        return self._first_cells[key]


class OperationCounters(dict[int, int]):
    """The cells that count one operation: that of each status, and the first one of the histogram."""

    def __init__(self, row: WorkerCounters, key: int) -> None:
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

    Each worker writes only its own row, so no lock is needed. A page is allocated on first use.
    """

    def __init__(self) -> None:
        """Start with empty rows, and count into the first one until a worker claims another."""
        self._memory = memoryview(mmap(-1, PAGESIZE + MAX_SLOTS * ROW_BYTES))
        self._used_slots = self._memory[:MAX_SLOTS]
        self.claim(0)

    def claim(self, slot: int) -> None:
        """Count into this slot's row from now on."""
        self._used_slots[slot] = 1
        self.row = WorkerCounters(self._cells(slot))

    def totals(self) -> dict[int, list[int]]:
        """Return the cells of each counter, summed over all rows."""
        totals: dict[int, list[int]] = {}
        for slot in (slot for slot, used in enumerate(self._used_slots) if used):
            cells = self._cells(slot)
            for key, first in _counters(cells):
                values = cells[first : first + _cell_count(key)].tolist()
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
        ValueError: two names have the same hash.
    """

    def __init__(self, operation_names: Iterable[str]) -> None:
        """Count for these operations, and for requests that reach none of them."""
        names = dict.fromkeys((NO_OPERATION, *operation_names))
        self._names = {_operation_key(name): name for name in names}
        if len(self._names) < len(names):
            message = "Two operation names have the same hash: rename one of them."
            raise ValueError(message)
        self._counters = shared_counters()

    def add(self, operation: str, status: int, nanoseconds: int) -> None:
        """Count a response; the status 0 is a client that disconnected before it."""
        row = self._counters.row
        cells, counters = row.cells, row[operation]
        histogram = counters.histogram
        cells[counters[status]] += 1
        cells[histogram + bisect_left(BUCKET_NANOSECONDS, nanoseconds)] += 1
        cells[histogram + SUM_CELL] += nanoseconds // 1000

    def text(self) -> str:
        """Return all counters in Prometheus's text format."""
        totals = self._counters.totals()
        return "\n".join([*self._requests(totals), *self._durations(totals), ""])

    def _requests(self, totals: dict[int, list[int]]) -> Iterator[str]:
        name = "http_requests_total"
        yield (
            f"# HELP {name} Requests by operation and response status; 0 is a client that disconnected first."
        )
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
                for bound, count in zip((*BUCKET_SECONDS, "+Inf"), accumulate(counts), strict=True):
                    yield f'{name}_bucket{{{label},le="{bound}"}} {count}'
                yield f"{name}_sum{{{label}}} {microseconds / 1_000_000}"
                yield f"{name}_count{{{label}}} {sum(counts)}"


class MetricsMiddleware:
    """Counts and times every response of the application it wraps, so it must be the outermost."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Wrap the application."""
        self.app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application and count its response; an exception counts as the server's 500."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, announced, sent = perf_counter_ns(), DISCONNECTED, DISCONNECTED

        def observe(message: Message) -> Awaitable[None]:
            nonlocal announced
            if "status" not in message:
                return send_body(message)
            announced = message["status"]
            return send(message)

        async def send_body(message: Message) -> None:
            nonlocal sent
            await send(message)
            sent = announced  # The server sends the head along with the first piece of the body.

        try:
            await self.app(scope, receive, observe)
        except BaseException:
            sent = sent or SERVER_ERROR
            raise
        finally:
            status = sent or (SERVER_ERROR if announced else DISCONNECTED)
            operation = scope.get("operation")
            name = operation.metric_name if operation else NO_OPERATION
            self._metrics.add(name, status, perf_counter_ns() - start)


def _operation_key(operation: str) -> int:
    """Return a number that is the same in every process, so that workers may serve different documents."""
    digest = blake2b(operation.encode(), digest_size=HASH_BYTES).digest()
    return int.from_bytes(digest, "big") << STATUS_BITS


def _cell_count(key: int) -> int:
    """Return how many cells a counter has."""
    return HISTOGRAM_WIDTH if key & HISTOGRAM == HISTOGRAM else 1


def _counters(cells: memoryview) -> Iterator[tuple[int, int]]:
    """Yield the key and the first cell of each counter in a row."""
    position = 0
    while key := cells[position]:
        yield key, position + 1
        position += 1 + _cell_count(key)
