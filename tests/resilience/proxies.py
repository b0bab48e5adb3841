"""The proxies: PgBouncer in front of PostgreSQL, and HAProxy in front of two instances."""

import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg2

from tests.support.postgres import PostgreSQL, free_port
from tests.support.service import Service
from tests.support.waiting import until

SCALING = Path(__file__).parent.parent.parent / "docs" / "scaling.md"
ROLE = re.compile(r"^ALTER ROLE users SET .*;$", re.MULTILINE)
PGBOUNCER = """
[databases]
* = host=127.0.0.1 port={target}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 10
# Workers request timeouts, which PgBouncer would reject; they are set on roles instead (docs/scaling.md).
ignore_startup_parameters = options
# The default retries an unreachable server only after 15 s.
server_login_retry = 0.5
query_wait_timeout = 5
"""
HAPROXY = """
defaults
    mode http
    retries 3
    option redispatch 1
    # Otherwise a request may be sent on another client's idle connection, to an instance that is dead.
    http-reuse never
    timeout connect 1s
    timeout check 5s
    timeout client 30s
    timeout server 30s
frontend users
    bind 127.0.0.1:{port}
    default_backend instances
backend instances
    option httpchk GET /health/ready
    default-server check inter 500ms fall 2 rise 1
{servers}
"""


class Program:
    """A server from Debian's packages with the tests' configuration."""

    def __init__(self, name: str, folder: Path, configuration: str, owner: Mapping[str, object]) -> None:
        self.port = free_port()
        self.owner, self.log = owner, folder / "log"
        folder.chmod(0o755)
        (folder / "configuration").write_text(configuration.replace("{port}", str(self.port)))
        self.command = [shutil.which(name), *(["-f"] if name == "haproxy" else []), folder / "configuration"]

    def start(self) -> None:
        """Start it, and return when it listens."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd="/", **self.owner)
        until(lambda: self.process.poll() is not None or self._listens())
        assert self.process.poll() is None, self.log.read_text()

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()

    def _listens(self) -> bool:
        with suppress(ConnectionRefusedError), closing(socket.create_connection(("127.0.0.1", self.port))):
            return True
        return False


@contextmanager
def pgbouncer(postgres: PostgreSQL) -> Iterator[Program]:
    """Start PgBouncer in transaction mode in front of the server.

    Databases created meanwhile are reached through it. It does not forward timeouts of sessions, so they are
    set on the role, as docs/scaling.md describes.
    """
    _execute(postgres, "".join(ROLE.findall(SCALING.read_text())))
    with tempfile.TemporaryDirectory(prefix="users-pgbouncer-") as folder:
        (Path(folder) / "users").write_text('"users" ""\n')
        settings = PGBOUNCER.replace("{target}", str(postgres.port)).replace("{folder}", folder)
        program = Program("pgbouncer", Path(folder), settings, postgres.owner)
        postgres.entrance = program.port
        try:
            yield from _run(program)
        finally:
            postgres.entrance = postgres.port
            _execute(postgres, "ALTER ROLE users RESET ALL")


def _execute(postgres: PostgreSQL, statements: str) -> None:
    with (
        closing(psycopg2.connect(postgres.url("postgres"))) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statements)


@contextmanager
def haproxy(*instances: Service) -> Iterator[Program]:
    """Start HAProxy in front of the instances."""
    servers = "\n".join(
        f"    server instance{instance.port} 127.0.0.1:{instance.port}" for instance in instances
    )
    with tempfile.TemporaryDirectory(prefix="users-haproxy-") as folder:
        yield from _run(Program("haproxy", Path(folder), HAPROXY.replace("{servers}", servers), {}))


def _run(program: Program) -> Iterator[Program]:
    program.start()
    try:
        yield program
    finally:
        program.kill()
