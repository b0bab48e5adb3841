"""The package serves any ASGI application with gunicorn."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import psutil
import pytest

from tests.support.postgres import free_port
from tests.support.waiting import until
from users_api.server.configuration import ServerOptions, gunicorn_settings
from users_api.server.slots import MAX_WORKERS

STOP_SECONDS = 25
HERE = Path(__file__).parent


class Server:
    """A running gunicorn with two workers."""

    def __init__(
        self, root: Path, *options: str, port: int = 0, application: str = "application:application"
    ) -> None:
        self.port = port or free_port()
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "--config",
            "python:application",
            *options,
            application,
        ]
        self.log = TemporaryFile("w+")  # noqa: SIM115 -- closed by the fixture.
        environment = os.environ | {"TEST_PORT": str(self.port), "PYTHONPATH": f"{root}:{HERE}"}
        self.process = subprocess.Popen(command, env=environment, cwd=root, stdout=self.log, stderr=self.log)

    def output(self) -> str:
        descriptor = self.log.fileno()  # Reading must not move the position at which the server writes.
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode()

    def workers(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.process.pid).children()}

    def starts(self) -> int:
        return self.output().count("Application startup complete.")

    def get(self, path: str = "/") -> str:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def counted(self) -> int:
        return int(self.get("/counts"))


@contextmanager
def serving(root: Path, *options: str) -> Iterator[Server]:
    """Run the server until the end of the `with` block; it must stop cleanly."""
    server = Server(root, *options)
    try:
        until(lambda: server.starts() == 2 or server.process.poll() is not None)
        yield server
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(STOP_SECONDS) == 0, server.output()
    finally:
        server.process.kill()
        server.log.close()


@pytest.fixture
def server(root: Path) -> Iterator[Server]:
    """The server, for one test."""
    with serving(root) as running:
        yield running


def test_all_workers_serve_and_are_counted_together(server: Server) -> None:
    answered = {int(server.get()) for _ in range(50)}

    assert answered <= server.workers()
    until(lambda: server.counted() == 50)


def test_counters_survive_a_worker_and_a_reload(server: Server) -> None:
    for _ in range(10):
        server.get()
    until(lambda: server.counted() == 10)  # A response may arrive just before it is counted.
    os.kill(min(server.workers()), signal.SIGKILL)
    until(lambda: server.starts() == 3)
    for _ in range(10):
        server.get()
    until(lambda: server.counted() == 20)
    before = server.workers()
    server.process.send_signal(signal.SIGHUP)
    until(lambda: server.starts() == 5 and not before & server.workers())
    for _ in range(10):
        server.get()

    until(lambda: server.counted() == 30)


def test_a_preloaded_application_counts_into_the_rows_of_its_workers(root: Path) -> None:
    with serving(root, "--preload") as server:
        for _ in range(10):
            server.get()

        until(lambda: server.counted() == 10)


def test_shutdown_leaves_shared_listeners_unchanged(root: Path) -> None:
    with serving(root, "--reuse-port") as server:
        assert int(server.get()) in server.workers()


IMPORTING = """
import time
print("importing", flush=True)
try:
    time.sleep(30)
except SystemExit:
    pass
from application import application
"""


def test_a_stop_during_an_import_that_ignores_it_is_not_lost(root: Path, tmp_path: Path) -> None:
    (tmp_path / "importing.py").write_text(IMPORTING)
    server = Server(root, "--pythonpath", str(tmp_path), application="importing:application")
    try:
        until(lambda: server.output().count("importing") == 2)
        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(STOP_SECONDS) == 0
        assert server.starts() == 0
    finally:
        server.process.kill()
        server.log.close()


FAILING = """
async def application(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the document is refused"})
"""


def test_an_application_that_fails_to_start_ends_the_server(root: Path, tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    server = Server(root, "--pythonpath", str(tmp_path), application="failing:application")
    try:
        assert server.process.wait(STOP_SECONDS) != 0
        assert "the document is refused" in server.output()
    finally:
        server.process.kill()
        server.log.close()


def test_a_request_that_cannot_be_read_gets_problem_json(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        response = connection.makefile("rb").read()

    assert response.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\ncontent-type: application/problem+json\r\n" in response


def test_a_port_in_use_is_reported_in_one_line(root: Path) -> None:
    with closing(socket.create_server(("0.0.0.0", 0))) as taken:  # noqa: S104 -- where the server would listen.
        server = Server(root, port=taken.getsockname()[1])
        status = server.process.wait(STOP_SECONDS)

    lines = [line for line in server.output().splitlines() if "Starting gunicorn" not in line]
    server.log.close()
    assert status == 1
    assert [line.rpartition("] ")[2] for line in lines] == [
        f"Port {server.port} is in use: stop the process that listens on it, or set PORT to another port."
    ]


def test_more_workers_than_slots_are_refused() -> None:
    with pytest.raises(ValueError, match=f"slots for {MAX_WORKERS} workers, not {MAX_WORKERS + 1}"):
        ServerOptions(workers=MAX_WORKERS + 1)


def test_a_worker_has_time_to_exit_after_its_last_request() -> None:
    settings = gunicorn_settings(ServerOptions(graceful_seconds=7))

    assert settings["graceful_timeout"] > 7
    assert settings["worker_class"].CONFIG_KWARGS["timeout_graceful_shutdown"] == 7
