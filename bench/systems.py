"""The systems under load: this service and its peers, run as their authors recommend, all on one database."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, NamedTuple
from urllib.parse import urlencode

import psycopg2

from bench.postgres import PostgreSQL, free_port, postgresql

WORKERS: Final = 2
START_SECONDS: Final = 30
SERVICE: Final = "users-api"
COMMAND: Final = str(Path(sys.executable).with_name("users-api"))
UNOBSERVED: Final = (
    sys.executable,
    "-m",
    "gunicorn",
    "--config",
    "python:bench.unobserved",
    "users_api.app:create_app()",
)
UVICORN: Final = ("--worker-class", "uvicorn_worker.UvicornWorker")
PEERS: Final[dict[str, tuple[str, ...]]] = {
    "tutorial": ("bench.peers.tutorial:app",),
    "FastAPI": ("bench.peers.fast:app", *UVICORN),
    "stock Connexion": ("bench.peers.stock:app", *UVICORN),
    "floor": ("bench.peers.floor:app", *UVICORN),
}
SCOPES: Final = ("users:read", "users:write", "metrics:read")
SETTINGS: Final = ("-c", "synchronous_commit=off", "-c", "autovacuum=off", "-c", "max_wal_size=8GB")
FILL: Final = """INSERT INTO users (username, email)
    SELECT 'user ' || n, 'user-' || n || '@example.org' FROM generate_series(%s, %s) AS n"""


class System(NamedTuple):
    """A running server: its name, URL, root process, and the seconds from its start to the first response."""

    name: str
    url: str
    pid: int
    start_seconds: float
    token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers that each request needs."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


class Database(NamedTuple):
    """The shared database; commits do not wait for the disk, because it is not part of the measurement."""

    server: PostgreSQL
    url: str

    def reset(self, users: int) -> None:
        """Empty the table and insert users 1 to `users`."""
        self.run("TRUNCATE users RESTART IDENTITY CASCADE")
        self.fill(1, users)

    def fill(self, first: int, last: int) -> None:
        """Insert the users numbered from first to last."""
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
    """Start the database; the migrations of this service create its table."""
    with postgresql(*SETTINGS) as server:
        yield Database(server, server.create("users_bench"))


@contextmanager
def users_api(database: Database, **settings: str) -> Iterator[System]:
    """Start this service as in production, on a migrated database, without authentication."""
    with _users_api(SERVICE, database, {"AUTH": "none", **settings}) as (system, _):
        yield system


@contextmanager
def users_api_unobserved(database: Database) -> Iterator[System]:
    """Start this service without logs of requests and without metrics."""
    with _users_api(SERVICE, database, {"AUTH": "none"}, UNOBSERVED) as (system, _):
        yield system


@contextmanager
def users_api_with_tokens(name: str, database: Database) -> Iterator[System]:
    """Start this service with authentication, and get a token for everything."""
    key = subprocess.run([COMMAND, "generate_key"], check=True, capture_output=True, text=True).stdout.strip()
    with _users_api(name, database, {"AUTH": "required", "TOKEN_KEYS": key}) as (system, settings):
        scopes = [f"--scope={scope}" for scope in SCOPES]
        added = subprocess.run(
            [COMMAND, "clients", "add", "bench", *scopes],
            env=os.environ | settings,
            check=True,
            capture_output=True,
            text=True,
        )
        _, client_id, _, secret = added.stdout.split()
        yield system._replace(token=_token(system.url, client_id, secret))


@contextmanager
def _users_api(
    name: str, database: Database, access: Mapping[str, str], command: Sequence[str] = (COMMAND, "serve")
) -> Iterator[tuple[System, Mapping[str, str]]]:
    port = free_port()
    settings = {
        "APP_SETTINGS": "users_api.config.ProductionConfig",
        "DATABASE_URL": database.url,
        "PORT": str(port),
        "WEB_CONCURRENCY": str(WORKERS),
        **access,
    }
    subprocess.run([COMMAND, "db", "upgrade"], env=os.environ | settings, check=True, capture_output=True)
    with _running(name, command, port, settings) as system:
        yield system, settings


def _token(url: str, client_id: str, secret: str) -> str:
    """Return an access token for the client (RFC 6749, 4.4)."""
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    with urllib.request.urlopen(f"{url}/oauth/token", urlencode(form).encode()) as answer:  # noqa: S310 -- our own server.
        token: str = json.load(answer)["access_token"]
    return token


@contextmanager
def peer(name: str, database: Database) -> Iterator[System]:
    """Start a peer with gunicorn."""
    port = free_port()
    gunicorn = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", str(WORKERS)]
    quiet = ["--no-control-socket", "--log-level", "error"]
    with _running(name, [*gunicorn, *quiet, *PEERS[name]], port, {"DATABASE_URL": database.url}) as system:
        yield system


@contextmanager
def _running(name: str, command: Sequence[str], port: int, settings: Mapping[str, str]) -> Iterator[System]:
    """Run a command until it answers, and stop it afterwards.

    Raises:
        RuntimeError: it does not answer in time; the message is what it logged.
    """
    url = f"http://127.0.0.1:{port}"
    with TemporaryFile("w+") as log:
        start = time.monotonic()
        process = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=log)
        try:
            if not _answers(f"{url}/ping", process):
                log.seek(0)
                raise RuntimeError(log.read())
            yield System(name, url, process.pid, time.monotonic() - start)
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Return whether the server responds, waiting until it does, exits or times out."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 -- our own server.
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False
