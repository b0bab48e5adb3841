"""The batches of an import: each is stored in one transaction, together with its place in the file."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from users_api.transfer.records import Record
from users_api.transfer.rules import Line, Rejection, Rules
from users_api.transfer.source import Mark, Source

MOST_RECORDS: Final = 10_000
MOST_BYTES: Final = 4 * 1024**2  # Bounds the memory if the lines are long.


class Batch(NamedTuple):
    """The valid and the rejected records up to a place; the last batch may be empty."""

    lines: list[Line]
    rejections: list[Rejection]
    end: Mark
    is_last: bool


def read_batches(source: Source, records: Iterable[Record], rules: Rules) -> Iterator[Batch]:
    """Yield the batches; only the last one has `is_last`."""
    lines: list[Line] = []
    rejections: list[Rejection] = []
    length = 0
    for record in records:
        checked = rules.check(record)
        if isinstance(checked, Line):
            lines.append(checked)
        else:
            rejections.append(checked)
        length += len(record.raw)
        if length >= MOST_BYTES or len(lines) + len(rejections) == MOST_RECORDS:
            yield Batch(lines, rejections, source.mark(), is_last=False)
            lines, rejections, length = [], [], 0
    yield Batch(lines, rejections, source.mark(), is_last=True)
