"""The systems under load: this service and its peers, each as its makers would run it, all on one database."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from tempfile import TemporaryFile
from typing import Final, NamedTuple

import psycopg2

from tests.postgres import PostgreSQL, free_port, postgresql
from tests.server import service

WORKERS: Final = 2
START_SECONDS: Final = 30
SERVICE: Final = "users-api"
UVICORN: Final = ("--worker-class", "uvicorn_worker.UvicornWorker")
PEERS: Final[dict[str, tuple[str, ...]]] = {
    "tutorial": ("bench.peers.tutorial:app",),
    "FastAPI": ("bench.peers.fast:app", *UVICORN),
    "stock Connexion": ("bench.peers.stock:app", *UVICORN),
    "floor": ("bench.peers.floor:app", *UVICORN),
}
SETTINGS: Final = ("-c", "synchronous_commit=off", "-c", "autovacuum=off", "-c", "max_wal_size=8GB")
FILL: Final = """INSERT INTO users (username, email)
    SELECT 'user ' || n, 'user-' || n || '@example.org' FROM generate_series(%s, %s) AS n"""


class System(NamedTuple):
    """A running server: its name, where it listens, its root process."""

    name: str
    url: str
    pid: int


class Database(NamedTuple):
    """The database that all systems share; its disk is not what is measured, so commits do not wait for it."""

    server: PostgreSQL
    url: str

    def reset(self, users: int) -> None:
        """Empty the table and store users 1 to `users`."""
        self.run("TRUNCATE users RESTART IDENTITY")
        self.fill(1, users)

    def fill(self, first: int, last: int) -> None:
        """Store the users numbered from first to last."""
        self.run(FILL, first, last)
        self.run("VACUUM ANALYZE users")
        self.run("CHECKPOINT")

    def run(self, statement: str, *values: int) -> None:
        """Execute one statement."""
        with closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True
            connection.cursor().execute(statement, values)


@contextmanager
def database() -> Iterator[Database]:
    """Give the database; the service's own migrations make its table."""
    with postgresql(*SETTINGS) as server:
        yield Database(server, server.create("users_bench"))


@contextmanager
def users_api(database: Database) -> Iterator[System]:
    """Give this service as an operator starts it."""
    with service(database.url, WEB_CONCURRENCY=str(WORKERS)) as running:
        yield System(SERVICE, running.url, running.process.pid)


@contextmanager
def peer(name: str, database: Database) -> Iterator[System]:
    """Give a peer under gunicorn."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    gunicorn = [sys.executable, "-m", "gunicorn", "--bind", address, "--workers", str(WORKERS)]
    quiet = ["--no-control-socket", "--log-level", "error"]
    with TemporaryFile("w+") as log:
        process = subprocess.Popen([*gunicorn, *quiet, *PEERS[name]], env=os.environ | {"DATABASE_URL": database.url}, stderr=log)
        try:
            if not _answers(f"http://{address}/ping", process):
                log.seek(0)
                raise RuntimeError(log.read())
            yield System(name, f"http://{address}", process.pid)
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Return whether the server answers, once it does or can do so no more."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 -- a server of our own.
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False
