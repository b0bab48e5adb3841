"""The formats of log lines: JSON for machines, and text with colors for people."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol

from users_api.observability.requests import SERVER_ERROR, Ended, utc

CLIENT_ERROR: Final = 400
GREEN, YELLOW, RED, DIM, PLAIN = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[2m", "\x1b[0m"
Paint = Callable[[str, str], str]


class Format(Protocol):
    """How lines are written."""

    def request_lines(self, requests: Iterable[Ended], offset: int) -> bytes:
        """Return the lines of requests; `offset` is that of `clock_offset`."""

    def formatter(self) -> logging.Formatter:
        """Return the formatter of all other lines."""


def printable(text: str) -> str:
    """Return the text with escapes for what could control a terminal or end a line."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def context_of(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    """Yield the request that a record belongs to, and how often it was repeated."""
    if request_id := getattr(record, "request_id", ""):
        yield "request_id", request_id
    if repeated := getattr(record, "repeated", 0):
        yield "repeated", repeated


class TextFormat:
    """Aligned columns for people, with colors on a terminal."""

    def __init__(self, *, colored: bool) -> None:
        """Write colors or not."""
        self._colored = colored

    def request_lines(self, requests: Iterable[Ended], offset: int) -> bytes:
        """Return the lines of requests."""
        return "".join(self._line(request, offset) for request in requests).encode()

    def formatter(self) -> logging.Formatter:
        """Return a formatter of the time, the level and the message."""
        return TextFormatter(self._paint)

    def _line(self, request: Ended, offset: int) -> str:
        request_id, kind, end, duration, body_bytes, (trace, client) = request
        names = [request_id.decode(), trace, printable(client or "")]
        parts = [
            f"{utc(end + offset).astimezone():%H:%M:%S}",
            self._paint(f"{kind.status:3}", _color(kind.status)),
            f"{kind.method or '-':6} {kind.operation.metric_name if kind.operation else '-':14}",
            f"{duration / 1_000_000:9.1f} ms {body_bytes:8} B",
            self._paint(" ".join(filter(None, names)), DIM),
        ]
        return "  ".join(parts) + "\n"

    def _paint(self, text: str, color: str) -> str:
        return f"{color}{text}{PLAIN}" if self._colored else text


class TextFormatter(logging.Formatter):
    """Writes the time, the level and the message, and then the traceback."""

    def __init__(self, paint: Paint) -> None:
        """Paint the levels with this function."""
        super().__init__(datefmt="%H:%M:%S")
        self._paint = paint

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- the base class calls it so.
        """Return the first line of a record."""
        color = RED if record.levelno >= logging.ERROR else YELLOW
        level = record.levelname.lower()
        shown = self._paint(level, color if record.levelno >= logging.WARNING else DIM)
        extra = "".join(f" {name}={value}" for name, value in context_of(record))
        return f"{self.formatTime(record, self.datefmt)}  {shown}  {printable(record.message)}{extra}"

    def usesTime(self) -> bool:  # noqa: N802 -- as above.
        """Return True: each line begins with the time."""
        return True


def _color(status: int) -> str:
    if status >= SERVER_ERROR or not status:
        return RED
    return YELLOW if status >= CLIENT_ERROR else GREEN
