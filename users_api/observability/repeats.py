"""Repeated log records: one in a second, with the number of those that were left out."""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import Final

from users_api.observability.request_ids import current_request_id

SECONDS: Final = 1.0
MAX_KINDS: Final = 1000
Key = tuple[str, str, type | None, int]


def add_request_id(record: logging.LogRecord) -> bool:
    """Store the id of the current request in the record, once; a logging filter."""
    if not hasattr(record, "request_id"):
        record.request_id = current_request_id.get().decode()
    return True


class RepeatFilter(logging.Filter):
    """Passes a warning or an error once in a second; the next one has `repeated`, how many were left out.

    During an outage of the database every request fails the same way. Records are the same if they have
    the same logger, the same message before its arguments, and the same exception, raised in the same line.
    """

    def __init__(self, handler: logging.Handler, clock: Callable[[], float] = monotonic) -> None:
        """Filter the records of a handler; the clock counts seconds."""
        super().__init__()
        self._handler, self._clock = handler, clock
        self._next: dict[Key, float] = {}
        self._left_out: dict[Key, tuple[int, logging.LogRecord]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is written now."""
        if record.levelno < logging.WARNING:
            return True
        key, now = _key(record), self._clock()
        if now >= self._next.get(key, 0.0):
            self._pass(key, record, now)
            return True
        count, _ = self._left_out.get(key, (0, record))
        if not count:
            self._report_later(key, self._next[key] - now)
        self._left_out[key] = count + 1, record
        return False

    def _pass(self, key: Key, record: logging.LogRecord, now: float) -> None:
        count, _ = self._left_out.pop(key, (0, record))
        record.repeated = count
        if len(self._next) >= MAX_KINDS:
            self._next.clear()
        self._next[key] = now + SECONDS

    def _report_later(self, key: Key, seconds: float) -> None:
        """Write the last record with its count when the second is over, if nothing else does."""
        try:
            asyncio.get_running_loop().call_later(seconds, self._report, key)
        except RuntimeError:
            return  # Without an event loop the next record has the count.

    def _report(self, key: Key) -> None:
        if key in self._left_out:
            count, record = self._left_out[key]
            self._left_out[key] = count - 1, record  # It stands for itself.
            self._next.pop(key, None)
            self._handler.handle(record)


def _key(record: logging.LogRecord) -> Key:
    kind, _, trace = record.exc_info or (None, None, None)
    while trace and trace.tb_next:
        trace = trace.tb_next
    return record.name, str(record.msg), kind, trace.tb_lineno if trace else 0
