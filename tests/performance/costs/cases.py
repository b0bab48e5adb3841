"""Cases: texts at a place of an operation, in a file with one line of JSON each."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.performance.costs.shapes import Shape

CORPUS = Path(__file__).with_name("corpus.jsonl")
CONNECTION = "connection"  # The place of bytes that the server receives.
READ = 64 * 1024


class Case(NamedTuple):
    """A shape at a place of an operation; on a connection it arrives `read` bytes at a time."""

    document: str
    operation: str
    place: str
    shape: Shape
    read: int = READ

    @classmethod
    def parse(cls, line: str) -> Self:
        """Return the case of a line; its figures are ignored."""
        found = json.loads(line)
        shape = Shape(**{name: value for name, value in found.items() if name in Shape._fields})
        return cls(*(found[name] for name in cls._fields[:3]), shape, found.get("read", READ))

    def line(self, **figures: float) -> str:
        """Return the case as a line."""
        own: dict[str, Any] = dict(zip(self._fields[:3], self[:3], strict=True)) | self.shape.parameters()
        if self.read != READ:
            own["read"] = self.read
        return json.dumps(own | figures, ensure_ascii=True)


def read_corpus(file: Path = CORPUS) -> list[Case]:
    """Return the cases of a corpus."""
    return [Case.parse(line) for line in file.read_text().splitlines()]


def add_to_corpus(lines: Iterable[str], file: Path = CORPUS) -> None:
    """Append lines to a corpus."""
    with file.open("a") as corpus:
        corpus.writelines(f"{line}\n" for line in lines)
