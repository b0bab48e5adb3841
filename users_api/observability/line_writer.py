"""Writes log lines to a descriptor without blocking: a reader that stops must not stop the service."""

import asyncio
import atexit
import logging
import os
import select
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import accumulate
from threading import RLock
from typing import Final

CHUNK_BYTES: Final = 4096
"""PIPE_BUF of Linux: what a pipe takes at once, and never mixes with the lines of other processes."""
MAX_WAITING_BYTES: Final = 4 * 1024**2
RETRY_SECONDS: Final = 0.02

logger: Final = logging.getLogger(__name__)


class LineWriter:
    """Writes lines in order; if the reader stops for long, further lines are dropped and counted."""

    def __init__(self, descriptor: int) -> None:
        """Write to this descriptor: a pipe, a file or a terminal."""
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._forget()
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self.write)

    def _forget(self) -> None:
        self._waiting, self._waiting_bytes, self._dropped = deque[bytes](), 0, 0
        self._is_scheduled = False
        self._lock = RLock()  # Other threads log too; `_report` logs in the middle of `write`.

    def write(self, *lines: bytes) -> None:
        """Write lines, each of which ends with a line feed; what the reader does not take, a moment later."""
        with self._lock:
            self._write(lines)

    def _write(self, lines: Sequence[bytes]) -> None:
        if self._waiting_bytes + sum(map(len, lines)) > MAX_WAITING_BYTES:
            lines = self._fitting(lines)
        self._waiting.extend(_chunks(lines))
        self._waiting_bytes += sum(map(len, lines))
        while self._waiting and self._is_writable():
            chunk = self._waiting.popleft()
            written = self._write_chunk(chunk)
            self._waiting_bytes -= written
            if rest := chunk[written:]:
                self._waiting.appendleft(rest)
        if self._waiting:
            self._write_later()
        elif self._dropped:
            self._report()

    def _fitting(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        """Return the first lines, as many as may wait, and count the others as dropped."""
        sizes = accumulate(map(len, lines), initial=self._waiting_bytes)
        fitting = sum(size <= MAX_WAITING_BYTES for size in sizes) - 1
        self._dropped += len(lines) - fitting
        return lines[:fitting]

    def _write_chunk(self, chunk: bytes) -> int:
        """Return how many bytes are done with; if nothing can be written at all, that is all of them."""
        try:
            return os.write(self._descriptor, chunk)
        except OSError:
            return len(chunk)

    def _is_writable(self) -> bool:
        return any(event & select.POLLOUT for _, event in self._poll.poll(0))

    def _write_later(self) -> None:
        """Try again soon; without an event loop, with the next line."""
        if self._is_scheduled:
            return
        try:
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._retry)
        except RuntimeError:
            return
        self._is_scheduled = True

    def _retry(self) -> None:
        self._is_scheduled = False
        self.write()

    def _report(self) -> None:
        dropped, self._dropped = self._dropped, 0
        logger.error("%d log lines were dropped, because standard output was not read", dropped)


def _chunks(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the lines joined to pieces that a pipe takes at once; a longer line is a piece of its own."""
    count = max(1, CHUNK_BYTES // max(map(len, lines), default=1))
    for first in range(0, len(lines), count):
        yield b"".join(lines[first : first + count])
