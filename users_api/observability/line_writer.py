"""Writes log lines to a descriptor without blocking: a reader that stops must not stop the service."""

import asyncio
import atexit
import logging
import os
import select
from collections import deque
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
        self._forget()
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self.write)

    def _forget(self) -> None:
        self._waiting, self._waiting_bytes, self._dropped = deque[bytes](), 0, 0
        self._is_scheduled = False

    def write(self, *lines: bytes) -> None:
        """Write lines, each of which ends with a line feed; what the reader does not take, a moment later."""
        for line in lines:
            self._add(line)
        while self._waiting and self._is_writable():
            chunk = self._take_chunk()
            written = self._write_chunk(chunk)
            self._waiting_bytes -= written
            if rest := chunk[written:]:
                self._waiting.appendleft(rest)
        if self._waiting:
            self._write_later()
        elif self._dropped:
            self._report()

    def _add(self, line: bytes) -> None:
        if self._waiting_bytes + len(line) > MAX_WAITING_BYTES:
            self._dropped += 1
        else:
            self._waiting.append(line)
            self._waiting_bytes += len(line)

    def _take_chunk(self) -> bytes:
        """Return the next lines, as many as a pipe takes at once; at least one."""
        lines = [self._waiting.popleft()]
        size = len(lines[0])
        while self._waiting and size + len(self._waiting[0]) <= CHUNK_BYTES:
            lines.append(self._waiting.popleft())
            size += len(lines[-1])
        return b"".join(lines)

    def _write_chunk(self, chunk: bytes) -> int:
        """Return how many bytes are done with; if nothing can be written at all, that is all of them."""
        try:
            return os.write(self._descriptor, chunk)
        except OSError:
            return len(chunk)

    def _is_writable(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return any(event & select.POLLOUT for _, event in poll.poll(0))

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
