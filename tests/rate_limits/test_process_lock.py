"""The lock between processes."""

import os
import signal

import pytest

from tests.rate_limits.processes import fork, kill
from users_api.rate_limits import process_lock
from users_api.rate_limits.process_lock import ProcessLock


def hold_and(lock: ProcessLock, number: signal.Signals) -> int:
    """Return a process that has acquired the lock and then sent itself a signal."""

    def work() -> None:  # pragma: no cover -- coverage does not see it leave.
        lock.__enter__()
        os.kill(os.getpid(), number)

    child = fork(work)
    os.waitpid(child, os.WUNTRACED)
    return child


@pytest.fixture
def waits(monkeypatch):
    """The waits for a lock, of which each takes the seconds that it would."""
    waits: list[float] = []
    monkeypatch.setattr(process_lock, "monotonic", lambda: sum(waits))
    monkeypatch.setattr(process_lock, "sleep", waits.append)
    return waits


def test_a_process_that_is_killed_releases_the_lock(waits) -> None:
    lock = ProcessLock()
    hold_and(lock, signal.SIGKILL)

    with lock:
        assert waits == []


def test_a_lock_that_is_held_is_waited_for(waits, monkeypatch) -> None:
    lock = ProcessLock()
    child = hold_and(lock, signal.SIGSTOP)

    def kill_after(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            kill(child)

    monkeypatch.setattr(process_lock, "sleep", kill_after)
    with lock:
        assert len(waits) == 3


def test_a_process_that_is_stopped_delays_the_others_once_in_ten_seconds(waits) -> None:
    lock = ProcessLock()
    child = hold_and(lock, signal.SIGSTOP)

    delays = []
    for _ in range(3):
        with lock:
            delays.append(sum(waits))
    waits.append(10)
    with lock:
        delays.append(sum(waits))
    kill(child)

    assert delays == pytest.approx([0.2, 0.2, 0.2, 10.4], abs=0.001)


def test_a_lock_is_released_at_the_end(waits) -> None:
    lock = ProcessLock()
    with lock:
        pass

    def work() -> None:  # pragma: no cover -- coverage does not see it leave.
        with lock:
            os._exit(len(waits))

    _, status = os.waitpid(fork(work), 0)

    assert os.waitstatus_to_exitcode(status) == 0
