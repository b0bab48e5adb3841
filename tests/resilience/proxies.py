"""The proxies: PgBouncer in front of PostgreSQL, and HAProxy in front of two instances."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2

from tests.support.postgres import PostgreSQL
from tests.support.programs import Program, run
from tests.support.service import Service

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


@contextmanager
def pgbouncer(postgres: PostgreSQL) -> Iterator[Program]:
    """Start PgBouncer in transaction mode in front of the server.

    Databases created meanwhile are reached through it. It does not forward timeouts of sessions, so they are
    set on the role, as docs/scaling.md describes.
    """
    _execute(postgres, "".join(ROLE.findall(SCALING.read_text())))
    with tempfile.TemporaryDirectory(prefix="users-pgbouncer-") as folder:
        (Path(folder) / "users").write_text('"users" ""\n')
        settings = PGBOUNCER.replace("{target}", str(postgres.port))
        program = Program(Path(folder), settings, "pgbouncer", **postgres.owner)
        postgres.entrance = program.port
        try:
            with run(program):
                yield program
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
        settings = HAPROXY.replace("{servers}", servers)
        with run(Program(Path(folder), settings, "haproxy", "-f")) as program:
            yield program
