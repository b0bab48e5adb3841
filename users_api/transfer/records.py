"""The records of a file, each with its place: in JSON Lines every line is one."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from users_api.transfer.source import LONGEST_LINE, Source

TOO_LONG: Final = f"must have {LONGEST_LINE} or fewer bytes"


class Record(NamedTuple):
    """A record with the number of its first line and its bytes, shortened if it is too long.

    The content is a JSON text, or the values of the columns; it counts only if there is no problem.
    """

    number: int
    raw: bytes
    content: bytes | dict[str, Any] = b""
    problem: str = ""


def json_records(source: Source) -> Iterator[Record]:
    """Yield the records of JSON Lines; blank lines are none."""
    while line := source.readline():
        number = source.lines
        if len(line) > LONGEST_LINE:
            source.read_rest_of_line(line)
            yield Record(number, line, problem=TOO_LONG)
        elif not line.isspace():
            yield Record(number, line, line)
