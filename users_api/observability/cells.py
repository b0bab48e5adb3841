"""Numbers in memory that all workers share: each worker writes its own row, and any process reads all rows.

Prometheus's own client takes ten times as long with several processes (7 µs a request), and leaves a file for
each worker that has exited.
"""

from collections.abc import Iterator
from functools import cache
from mmap import PAGESIZE, mmap
from typing import Final, NamedTuple

MAX_ROWS: Final = 512
ROW_BYTES: Final = 512 * 1024
CELL_BYTES: Final = 8
MAX_WIDTH: Final = 32
"""The most cells that a series may have."""
MAX_LABEL_BYTES: Final = 2048
"""The longest labels of a series, together."""
LABELS_BITS: Final = 16
SEPARATOR: Final = "\x1f"
"""Between the name of a series and the values of its labels."""


class Series(NamedTuple):
    """A metric with certain labels, in one row."""

    labels: tuple[str, ...]
    """The metric's name, and the values of its labels."""
    first: int
    """The index of its first cell."""
    width: int
    """How many cells it has."""


class Row:
    """The series of one worker.

    A series is added on first use: a cell with the sizes, its labels, and its cells of 64 bits. So nothing is
    fixed in advance, a process that knows nothing of an operation can read its numbers, and one page is
    enough for a few dozen of them.
    """

    def __init__(self, cells: memoryview) -> None:
        """Continue with the series of the row's previous worker."""
        self.cells = cells
        found = list(series_in(cells))
        self._first_cells = {each.labels: each.first for each in found}
        self._free = found[-1].first + found[-1].width if found else 0
        self._scratch = len(cells) - MAX_WIDTH
        # A worker that was killed may have left part of a series.
        for cell in range(self._free, min(self._free + MAX_LABEL_BYTES // CELL_BYTES + 2, self._scratch)):
            cells[cell] = 0

    def allocate(self, labels: tuple[str, ...], width: int) -> int:
        """Return the index of the first cell of a series.

        In a full row, and if the labels are longer than MAX_LABEL_BYTES, these are cells that are never read.
        """
        if labels not in self._first_cells:
            text = SEPARATOR.join(labels).encode()
            size = 1 + -(-len(text) // CELL_BYTES) + width
            if self._free + size >= self._scratch or len(text) > MAX_LABEL_BYTES:
                return self._scratch
            self._add(text, width, size)
            self._first_cells[labels] = self._free - width
        return self._first_cells[labels]

    def _add(self, text: bytes, width: int, size: int) -> None:
        """Write the labels before the sizes: another process may be reading, and this one may be killed."""
        start = (self._free + 1) * CELL_BYTES
        self.cells.cast("B")[start : start + len(text)] = text
        self.cells[self._free] = width << LABELS_BITS | len(text)
        self._free += size


class SharedCells:
    """A row for each worker; create it before the workers are forked. A page is allocated on first use."""

    def __init__(self) -> None:
        """Start with empty rows, and use the first one until a worker claims another."""
        self._memory = memoryview(mmap(-1, PAGESIZE + MAX_ROWS * ROW_BYTES))
        self._used = self._memory[:MAX_ROWS]
        self.claim(0)

    def claim(self, number: int) -> None:
        """Write to this row from now on."""
        self._used[number] = 1
        self.row = Row(self.cells(number))

    def rows(self) -> Iterator[memoryview]:
        """Yield the cells of each row that was ever used."""
        for number in range(MAX_ROWS):
            if self._used[number]:
                yield self.cells(number)

    def cells(self, number: int) -> memoryview:
        """Return the cells of a row."""
        start = PAGESIZE + number * ROW_BYTES
        return self._memory[start : start + ROW_BYTES].cast("Q")


def series_in(cells: memoryview) -> Iterator[Series]:
    """Yield the series of a row."""
    position, texts = 0, cells.cast("B")
    while header := cells[position]:
        width, length = header >> LABELS_BITS, header & ((1 << LABELS_BITS) - 1)
        start = (position + 1) * CELL_BYTES
        labels = tuple(bytes(texts[start : start + length]).decode().split(SEPARATOR))
        first = position + 1 + -(-length // CELL_BYTES)
        yield Series(labels, first, width)
        position = first + width


@cache
def shared_cells() -> SharedCells:
    """Return this process's cells, which it shares with the processes that it forks."""
    return SharedCells()
