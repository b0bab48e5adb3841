"""The records of CSV (RFC 4180), which may extend over several lines."""

import csv
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from users_api.transfer.formats import COLUMNS
from users_api.transfer.records import TOO_LONG, Record
from users_api.transfer.source import LONGEST_LINE, Source, SourceError

NOT_UTF8: Final = "must be text in UTF-8"
NOT_CSV: Final = (
    "must be CSV (RFC 4180): quote fields that contain commas, quotes or line breaks, and double their quotes"
)
REQUIRED: Final = {"username", "email"}
WRONG_HEADER: Final = (
    f"The first line must be the header: names of columns out of {', '.join(COLUMNS)}, with commas between, "
    "each at most once, and with both username and email."
)
INTEGER: Final = re.compile("0|[1-9][0-9]{0,99}")  # Python converts up to 4,300 digits.
BOOLEANS: Final = {"true": True, "false": False}


class Fields(NamedTuple):
    """The fields of a record, or the reason why it has none."""

    number: int
    raw: bytes
    texts: list[str]
    problem: str


class RecordTooLong(Exception):  # noqa: N818 -- exceptions here are named for what happened.
    """A record exceeds LONGEST_LINE; the rest of it has been skipped."""


class Lines(Iterator[str]):
    """The lines that the csv module reads; `record` has those since it was last cleared.

    Bytes that are not UTF-8 become unpaired surrogates, so that one record is rejected and not the file.
    """

    def __init__(self, source: Source) -> None:
        """Start at the current place of the source."""
        self._source = source
        self.record: list[bytes] = []
        self._length = 0

    def __next__(self) -> str:
        """Return the next line.

        Raises:
            RecordTooLong: with this line the record is too long.
        """
        line = self._source.readline()
        if not line:
            raise StopIteration
        self.record.append(line)
        self._length += len(line)
        if self._length > LONGEST_LINE:
            self._skip()
            raise RecordTooLong
        return line.decode("utf-8", "surrogateescape")

    def clear(self) -> None:
        """Begin another record."""
        self.record.clear()
        self._length = 0

    def _skip(self) -> None:
        """Read to the line break that ends the record, which has an even number of quotes before it."""
        quotes = sum(line.count(b'"') for line in self.record)
        quotes += self._source.read_rest_of_line(self.record[-1])
        while quotes % 2 and (line := self._source.readline()):
            quotes += line.count(b'"') + self._source.read_rest_of_line(line)


class CsvRecords:
    """The records below the header; an empty field counts as missing.

    Raises:
        SourceError: the header is missing or wrong.
    """

    def __init__(self, source: Source) -> None:
        """Read the header."""
        self._source, self._lines = source, Lines(source)
        self._reader = csv.reader(self._lines, strict=True)
        self._names = next((fields.texts for fields in self._fields()), [])
        if not set(COLUMNS) >= set(self._names) >= REQUIRED or len(set(self._names)) < len(self._names):
            raise SourceError(WRONG_HEADER)

    def __iter__(self) -> Iterator[Record]:
        """Yield the records; blank lines are none."""
        for number, raw, texts, problem in self._fields():
            if problem:
                yield Record(number, raw, problem=problem)
            elif len(texts) != len(self._names):
                yield Record(number, raw, problem=f"must have {len(self._names)} fields")
            else:
                yield Record(number, raw, _values(self._names, texts))

    def _fields(self) -> Iterator[Fields]:
        while True:
            self._lines.clear()
            number, texts, problem = self._source.lines + 1, [], ""
            try:
                texts = next(self._reader)
            except StopIteration:
                return
            except csv.Error:
                problem = NOT_CSV
            except RecordTooLong:
                problem = TOO_LONG
            raw = b"".join(self._lines.record)
            if not (problem or raw.isascii() or _is_utf8(raw)):
                problem = NOT_UTF8
            if problem or texts:
                yield Fields(number, raw, texts, problem)


def _values(names: Sequence[str], texts: Sequence[str]) -> dict[str, Any]:
    """Return the values that the texts stand for; the schema rejects a text that stands for none."""
    values: dict[str, Any] = {name: text for name, text in zip(names, texts, strict=True) if text}
    if INTEGER.fullmatch(values.get("id", "")):
        values["id"] = int(values["id"])
    if "active" in values:
        values["active"] = BOOLEANS.get(values["active"], values["active"])
    return values


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
