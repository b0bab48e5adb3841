"""The package serves any ASGI application by gunicorn."""

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

    def __init__(self, root: Path, *options: str, port: int = 0) -> None:
        self.port = port or free_port()
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "--config",
            "python:application",
            *options,
            "application:application",
        ]
        self.log = TemporaryFile("w+")  # noqa: SIM115 -- closed by the fixture.
        environment = os.environ | {"TEST_PORT": str(self.port), "PYTHONPATH": f"{root}:{HERE}"}
        self.process = subprocess.Popen(command, env=environment, cwd=root, stdout=self.log, stderr=self.log)

    def output(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def workers(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.process.pid).children()}

    def starts(self) -> int:
        return self.output().count("Application startup complete.")

    def get(self, path: str = "/") -> str:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def counted(self) -> int:
        (line,) = [line for line in self.get("/metrics").splitlines() if line.startswith('http_requests_total{operation="hello"')]
        return int(line.rpartition(" ")[2])


@contextmanager
def serving(root: Path, *options: str) -> Iterator[Server]:
    """Run the server until the end of the `with`, where it has to stop cleanly."""
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


def test_a_listener_that_others_share_is_not_touched_by_a_stop(root: Path) -> None:
    with serving(root, "--reuse-port") as server:
        assert int(server.get()) in server.workers()


def test_a_request_that_cannot_be_read_gets_problem_json(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        response = connection.makefile("rb").read()

    assert response.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\ncontent-type: application/problem+json\r\n" in response


def test_a_taken_port_is_one_line(root: Path) -> None:
    with closing(socket.create_server(("0.0.0.0", 0))) as taken:  # noqa: S104 -- where the server would listen.
        server = Server(root, port=taken.getsockname()[1])
        status = server.process.wait(STOP_SECONDS)

    lines = [line for line in server.output().splitlines() if "Starting gunicorn" not in line]
    server.log.close()
    assert status == 1
    assert [line.rpartition("] ")[2] for line in lines] == [
        f"Port {server.port} is taken: stop what listens there, or set PORT to another one."
    ]


def test_more_workers_than_slots_are_refused() -> None:
    with pytest.raises(ValueError, match=f"slots for {MAX_WORKERS} workers, not {MAX_WORKERS + 1}"):
        ServerOptions(workers=MAX_WORKERS + 1)


def test_a_worker_has_time_to_exit_after_its_last_request() -> None:
    settings = gunicorn_settings(ServerOptions(graceful_seconds=7))

    assert settings["graceful_timeout"] > 7
    assert settings["worker_class"].CONFIG_KWARGS["timeout_graceful_shutdown"] == 7
