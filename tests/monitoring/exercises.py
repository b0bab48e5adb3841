"""Does what is measured: every operation, failures, disconnects, overload, and a blocked event loop."""

import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from threading import Event

import httpx
import psutil
import psycopg2

from tests.support.network import RESET
from tests.support.service import Service
from tests.support.waiting import until, until_a_lock_is_waited_for
from tools.dashboard.prometheus import Prometheus
from users_api.document import METHODS, load_document

BLOCKED_SECONDS = 0.15
MANY = "INSERT INTO users (username, email) SELECT n, n || '@example.org' FROM generate_series(1, 1000) AS n"
PART_OF_A_HEAD = b"GET /ping HTTP/1.1\r\n"
REQUESTS = "http_server_request_duration_seconds_count"


def exercise(running: Service, client: httpx.Client, server: Prometheus) -> None:
    """Do everything with the service that is measured, and return when Prometheus has it."""
    url = running.environment["DATABASE_URL"]
    request_every_operation(client)
    fail(url, client)
    disconnect(url, running.port, client)
    until_measured(server, f'{REQUESTS}{{error_type="client_disconnected"}}')
    execute(url, MANY)
    block(running, client, server)


def request_every_operation(client: httpx.Client) -> None:
    """Send a request to each operation, which need not succeed, and one to a path that is none."""
    client.get("/nowhere")
    for path, item in load_document()["paths"].items():
        for method in METHODS & item.keys():
            client.request(method, path.replace("{user_id}", "1"))


def fail(url: str, client: httpx.Client) -> None:
    """Request a user while the table is missing."""
    execute(url, "ALTER TABLE users RENAME TO away")
    assert client.get("/users/1").status_code == httpx.codes.SERVICE_UNAVAILABLE
    execute(url, "ALTER TABLE away RENAME TO users")


def disconnect(url: str, port: int, client: httpx.Client) -> None:
    """Request a user, and reset the connection while the table is locked."""
    head = f"GET /users/1 HTTP/1.1\r\nHost: a\r\nAuthorization: {client.headers['Authorization']}\r\n\r\n"
    with closing(psycopg2.connect(url)) as holder:
        holder.cursor().execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        with socket.create_connection(("127.0.0.1", port)) as caller:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            caller.sendall(head.encode())
            until_a_lock_is_waited_for(url)
        client.get("/ping")  # The only worker sees the reset before this request.


def block(running: Service, client: httpx.Client, server: Prometheus) -> None:
    """Suspend the worker while it serves long lists, until this hits a step of a handler."""
    (worker,) = psutil.Process(running.process.pid).children()
    with lists(client):
        until(lambda: suspend(worker) or bool(server.query("event_loop_blocking_calls_total")))


@contextmanager
def lists(client: httpx.Client) -> Iterator[None]:
    """Requests long lists meanwhile."""
    over = Event()

    def request() -> None:
        while not over.is_set():
            client.get("/users?limit=1000")

    with ThreadPoolExecutor() as pool, ExitStack() as stack:
        stack.callback(over.set)
        asked = [pool.submit(request) for _ in range(2)]
        yield
        over.set()
        assert [each.result() for each in asked] == [None, None]


def suspend(worker: psutil.Process) -> None:
    """Suspend the worker for longer than a handler may hold the event loop."""
    worker.send_signal(signal.SIGSTOP)
    resumed = time.monotonic() + BLOCKED_SECONDS
    until(lambda: time.monotonic() > resumed)
    worker.send_signal(signal.SIGCONT)


def overload(running: Service, server: Prometheus) -> None:
    """Open more connections than the service accepts, each with a part of a request."""
    with ExitStack() as stack:
        for _ in range(6):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", running.port)))
            client.sendall(PART_OF_A_HEAD)
        until_measured(server, 'http_server_rejected_requests_total{http_response_status_code="503"}')


def until_measured(server: Prometheus, expression: str) -> None:
    """Return when Prometheus has such a series."""
    until(lambda: bool(server.query(expression)))


def execute(url: str, statement: str) -> None:
    """Execute a statement."""
    with closing(psycopg2.connect(url)) as connection, connection:
        connection.cursor().execute(statement)
