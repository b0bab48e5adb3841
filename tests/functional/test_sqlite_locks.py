"""Another process holds the lock of the SQLite file: the server responds, and requests that wait time out."""

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.support.service import Service, service

REQUEST_TIMEOUT = 1
LATE_SECONDS = 9  # Statements wait for the lock for up to 10 seconds.
USER = {"username": "ada", "email": "ada@example.org"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The database file."""
    return tmp_path / "locked.db"


@pytest.fixture
def running(file: Path) -> Iterator[Service]:
    """The server with development settings and one worker, which is not connected to its database yet."""
    settings = {"APP_SETTINGS": "users_api.config.DevelopmentConfig", "WEB_CONCURRENCY": "1"}
    with service(f"sqlite:///{file}", **settings, REQUEST_TIMEOUT=str(REQUEST_TIMEOUT)) as running:
        yield running


@pytest.mark.parametrize(("mode", "connected"), [("WAL", True), ("WAL", False), ("DELETE", False)])
def test_a_locked_file_delays_only_requests_that_need_it(
    running: Service, file: Path, mode: str, *, connected: bool
) -> None:
    with (
        httpx.Client(base_url=running.url, timeout=60) as client,
        closing(sqlite3.connect(file, isolation_level=None)) as holder,
        ThreadPoolExecutor() as pool,
    ):
        holder.execute(f"PRAGMA journal_mode={mode}")
        if connected:
            client.get("/users")
        holder.execute("BEGIN EXCLUSIVE")
        start = time.monotonic()

        writes = [pool.submit(client.post, "/users", json=USER) for _ in range(4)]
        live = [client.get("/ping").status_code for _ in range(3)]
        waited = not any(write.done() for write in writes)
        statuses = {write.result().status_code for write in writes}
        seconds = time.monotonic() - start
        holder.rollback()

        assert (live, waited, statuses) == ([200] * 3, True, {503})
        assert seconds < LATE_SECONDS
        assert client.post("/users", json=USER).status_code == 201
