"""Writes log lines to a descriptor without blocking: a reader that stops must not stop the service."""

import asyncio
import atexit
import logging
import os
import select
import stat
from collections import deque
from collections.abc import Iterator
from threading import RLock
from typing import Final

PIPE_BYTES: Final = 4096
"""PIPE_BUF of Linux: what a pipe takes at once, and never mixes with the lines of other processes."""
FILE_BYTES: Final = 1024**2
"""A file takes any number of bytes at once."""
LINE_FEED: Final = b"\n"
MAX_WAITING_BYTES: Final = 4 * 1024**2
RETRY_SECONDS: Final = 0.02

logger: Final = logging.getLogger(__name__)


class LineWriter:
    """Writes lines in order; if the reader stops for long, further lines are dropped and counted."""

    def __init__(self, descriptor: int) -> None:
        """Write to this descriptor: a pipe, a file or a terminal."""
        self._descriptor = descriptor
        self._chunk_bytes = FILE_BYTES if _is_file(descriptor) else PIPE_BYTES
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._forget()
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self.write)

    def _forget(self) -> None:
        self._waiting, self._waiting_bytes, self._dropped = deque[bytes](), 0, 0
        self._is_scheduled = False
        self._lock = RLock()  # Other threads log too; `_report` logs in the middle of `write`.

    def write(self, lines: bytes = b"") -> None:
        """Write lines, each of which ends with a line feed; what the reader does not take, a moment later."""
        with self._lock:
            self._write(lines)

    def _write(self, lines: bytes) -> None:
        if self._waiting_bytes + len(lines) > MAX_WAITING_BYTES:
            lines = self._fitting(lines)
        self._waiting.extend(_chunks(lines, self._chunk_bytes))
        self._waiting_bytes += len(lines)
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

    def _fitting(self, lines: bytes) -> bytes:
        """Return the first lines, as many as may wait, and count the others as dropped."""
        end = lines.rfind(LINE_FEED, 0, MAX_WAITING_BYTES - self._waiting_bytes) + 1
        self._dropped += lines.count(LINE_FEED, end)
        return lines[:end]

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


def _is_file(descriptor: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:  # A service may be started with standard output closed.
        return False


def _chunks(lines: bytes, size: int) -> Iterator[bytes]:
    """Yield pieces of whole lines, at most so many bytes long; a longer line is a piece of its own."""
    start = 0
    while start < len(lines):
        last = lines.rfind(LINE_FEED, start, start + size)
        end = 1 + (last if last >= 0 else lines.index(LINE_FEED, start))
        yield lines[start:end]
        start = end
