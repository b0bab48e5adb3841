"""A lock between the processes of a server, which the kernel releases when its holder dies."""

import os
import sys
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, lockf
from tempfile import TemporaryFile
from time import monotonic, sleep
from typing import Final

WAIT_SECONDS: Final = 0.2
STEP_SECONDS: Final = 0.00005
GIVE_UP_SECONDS: Final = 10.0


class ProcessLock:
    """Excludes the processes that were forked after it was created, if they are well: see `__enter__`.

    It excludes neither threads nor coroutines, so it belongs on the event loop, and is never held during an
    `await`.
    """

    def __init__(self) -> None:
        """Create the file to lock; forked processes may share its descriptor, since they own their locks."""
        self._file = _anonymous_file()
        self._give_up_until = 0.0

    def __enter__(self) -> None:
        """Acquire the lock, or continue without it after `WAIT_SECONDS`.

        Its holder is then stopped, by a signal or a debugger, and must not stop the others. For the next
        `GIVE_UP_SECONDS` they do not wait at all.
        """
        try:
            lockf(self._file, LOCK_EX | LOCK_NB)
        except OSError:  # EAGAIN or EACCES (POSIX, fcntl)
            self._wait()

    def __exit__(self, *_error: object) -> None:
        """Release the lock, if it was acquired."""
        lockf(self._file, LOCK_UN)

    def _wait(self) -> None:
        start = monotonic()
        while start >= self._give_up_until:
            sleep(STEP_SECONDS)
            with suppress(OSError):
                lockf(self._file, LOCK_EX | LOCK_NB)
                return
            if monotonic() >= start + WAIT_SECONDS:
                self._give_up_until = monotonic() + GIVE_UP_SECONDS
                return


def _anonymous_file() -> int:
    """Return the descriptor of a file that no path leads to; on Linux it needs no writable directory."""
    if sys.platform == "linux":
        return os.memfd_create("process-lock")
    with TemporaryFile() as file:  # pragma: no cover -- the tests run on Linux.
        return os.dup(file.fileno())
