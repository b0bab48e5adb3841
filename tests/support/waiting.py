"""Waits for conditions by polling, instead of sleeping for a fixed time."""

import time
from collections.abc import Callable
from contextlib import closing

import psycopg2

PATIENCE_SECONDS = 60
STEP_SECONDS = 0.02


def until(condition: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS) -> None:
    """Return when the condition is true.

    Raises:
        TimeoutError: the condition is not true within the given seconds.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(STEP_SECONDS)


def until_a_lock_is_waited_for(url: str) -> None:
    """Return when a session of the database waits for a lock."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with closing(psycopg2.connect(url)) as watcher, watcher.cursor() as cursor:
        watcher.autocommit = True
        until(lambda: cursor.execute(waiting) or cursor.fetchone() is not None)
