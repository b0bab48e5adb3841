"""Records measurements in this worker's row of the shared memory."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cache
from typing import Any, Final

from users_api.observability.cells import Row, SharedCells, series_in, shared_cells
from users_api.observability.instruments import (
    BUCKET_SECONDS,
    HISTOGRAM_WIDTH,
    INSTRUMENTS,
    Instrument,
    Kind,
    width,
)

INFINITY: Final = 2**64
BUCKET_NANOSECONDS: Final = (*(round(seconds * 1e9) for seconds in BUCKET_SECONDS), INFINITY)
SUM_CELL: Final = len(BUCKET_SECONDS) + 1
Labels = tuple[str, ...]


class Histogram(dict[Hashable, int]):
    """Durations by a key, such as an operation and a status; the values are the first cells in the row."""

    def __init__(self, instrument: Instrument, cells: SharedCells, describe: Callable[[Any], Labels]) -> None:
        """Record into the row that this process uses; `describe` returns the labels of a new key."""
        super().__init__()
        self._instrument, self._shared, self._describe = instrument, cells, describe
        self._row: Row | None = None
        self._pending: Final = list[tuple[Hashable, int]]()
        self.record_soon = self._pending.append

    record_soon: Callable[[tuple[Hashable, int]], None]
    """Counts a duration, given as its key and nanoseconds, on the next `flush`: many together are cheaper."""

    def flush(self) -> None:
        """Count what is pending."""
        count = len(self._pending)  # Another thread may append more meanwhile.
        pending = self._pending[:count]
        del self._pending[:count]
        self.record_all(pending)

    def record_all(self, pairs: Iterable[tuple[Hashable, int]]) -> None:
        """Count durations, each given as its key and nanoseconds."""
        durations = defaultdict[Hashable, list[int]](list)
        for key, nanoseconds in pairs:
            durations[key].append(nanoseconds)
        for key, each in durations.items():
            self.record(each, key)

    def record(self, durations: Sequence[int], key: Hashable) -> None:
        """Count durations in nanoseconds."""
        if self._shared.row is not self._row:
            self.clear()
            self._row = self._shared.row
        first, cells = self[key], self._row.cells
        durations, counted = sorted(durations), 0
        while counted < len(durations):
            bucket = bisect_left(BUCKET_NANOSECONDS, durations[counted])
            end = bisect_right(durations, BUCKET_NANOSECONDS[bucket], counted)
            cells[first + bucket] += end - counted
            counted = end
        cells[first + SUM_CELL] += sum(durations) // 1000

    def __missing__(self, key: Hashable) -> int:
        """Add a series."""
        labels = self._instrument.name, *self._describe(key)
        self[key] = first = self._shared.row.allocate(labels, HISTOGRAM_WIDTH)
        return first


class Recorder:
    """Counters, gauges and histograms of one process."""

    def __init__(self, cells: SharedCells) -> None:
        """Record into the row that this process uses."""
        self._shared = cells
        self._gauges: dict[tuple[Instrument, Labels], Callable[[], int]] = {}
        self._histograms: list[Histogram] = []

    def histogram(self, instrument: Instrument, describe: Callable[[Any], Labels]) -> Histogram:
        """Return a histogram; `describe` returns the labels of a key."""
        histogram = Histogram(instrument, self._shared, describe)
        self._histograms.append(histogram)
        return histogram

    def flush(self) -> None:
        """Count what is pending in all histograms."""
        for histogram in self._histograms:
            histogram.flush()

    def declare(self, instrument: Instrument, *labels: str) -> None:
        """Add a counter that is 0, so that a program that reads it sees it grow."""
        self._cell(instrument, labels)

    def count(self, instrument: Instrument, *labels: str) -> None:
        """Add one to a counter."""
        self._shared.row.cells[self._cell(instrument, labels)] += 1

    def add_gauge(self, instrument: Instrument, read: Callable[[], int], *labels: str) -> None:
        """Read a gauge on each `sample`; in place of an earlier one with these labels."""
        self._gauges[instrument, labels] = read

    def sample(self) -> None:
        """Store the current value of each gauge, and count what is pending."""
        self.flush()
        for (instrument, labels), read in self._gauges.items():
            self._shared.row.cells[self._cell(instrument, labels)] = read()

    def _cell(self, instrument: Instrument, labels: Labels) -> int:
        return self._shared.row.allocate((instrument.name, *labels), width(instrument))


@cache
def shared_recorder() -> Recorder:
    """Return this process's recorder."""
    return Recorder(shared_cells())


def start_worker(slot: int) -> None:
    """Record into the row of this slot from now on."""
    shared_cells().claim(slot)


def end_worker(slot: int) -> None:
    """Set the gauges of a worker that has exited to zero; what it counted stays."""
    cells = shared_cells().cells(slot)
    for each in series_in(cells):
        instrument = INSTRUMENTS.get(each.labels[0])
        if instrument and instrument.kind in {Kind.GAUGE, Kind.INFO}:
            cells[each.first] = 0
