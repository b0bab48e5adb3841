"""Log lines as JSON.

The lines of requests are put together from bytes that are the same for all requests of an operation with one
status: 0.6 µs for one of many lines, 2.6 µs for one alone. orjson takes 2 µs, structlog 13 µs, the standard
library with a JSON formatter 21 µs.
"""

import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from users_api.observability.formats import context_of, printable
from users_api.observability.requests import NANOSECONDS, TRACE_KEY, Ended, client_of, level_of, utc

Key = tuple[Any, str | None, int]


class Constants(dict[Key, bytes]):
    """The members that all requests of an operation with one method and one status have, without braces."""

    def __missing__(self, key: Key) -> bytes:
        """Add them."""
        operation, method, status = key
        name = operation.metric_name if operation else None
        members = {
            "level": level_of(status),
            "message": "request",
            "method": method,
            "operation": name,
            "status": int(status),
        }
        self[key] = text = orjson.dumps(members)[1:-1]
        return text


class JsonFormat:
    """One JSON object in each line."""

    def __init__(self) -> None:
        """Start without constants."""
        self._constants: Final = Constants()

    def request_lines(self, requests: Iterable[Ended], offset: int) -> Iterator[bytes]:
        """Yield the line of each request; members that would be empty are left out."""
        second, time, constants = -1, b"", self._constants
        for request_id, scope, status, body_bytes, start, end in requests:
            seconds, nanoseconds = divmod(end + offset, NANOSECONDS)
            if seconds != second:
                second, time = seconds, _time(seconds)
            yield b'{"time":"%b.%06dZ",%b,"request_id":"%b","ms":%.3f,"bytes":%d%b}\n' % (
                time,
                nanoseconds // 1000,
                constants[scope.get("operation"), scope.get("method"), status],
                request_id,
                (end - start) / 1_000_000,
                body_bytes,
                _names(scope) if "extensions" in scope or TRACE_KEY in scope else b"",
            )

    def formatter(self) -> logging.Formatter:
        """Return a formatter of JSON objects."""
        return JsonFormatter()


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object, with its traceback as one text."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end."""
        fields: dict[str, Any] = {
            "time": utc(round(record.created * NANOSECONDS)),
            "level": record.levelname.lower(),
            "message": encodable(record.getMessage()),
            "logger": record.name,
            "process": record.process,
        }
        fields.update(context_of(record))
        if record.exc_info:
            fields["exception"] = encodable(self.formatException(record.exc_info))
        return orjson.dumps(fields, default=str, option=orjson.OPT_UTC_Z).decode()


def encodable(text: str) -> str:
    """Return the text with escapes for what UTF-8 cannot encode."""
    return text.encode("utf-8", "backslashreplace").decode()


def _time(seconds: int) -> bytes:
    """Return a second since 1970 as RFC 3339 writes it, without fraction and zone."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


def _names(scope: Any) -> bytes:
    """Return the members for the trace and the client, after a comma; nothing if there is neither."""
    client = client_of(scope)
    names = {"trace_id": scope.get(TRACE_KEY), "client": printable(client) if client else None}
    members = orjson.dumps({name: value for name, value in names.items() if value})[1:-1]
    return b"," + members if members else b""
