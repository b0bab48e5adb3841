"""The processes: the production server, the development server, and how they start and stop."""

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import copytree
from uuid import uuid4
from zipfile import ZipFile

import psutil
import psycopg2
import pytest

from tests.postgres import PostgreSQL
from tests.server import COMMAND, Service, service
from tests.waiting import until, until_a_lock_is_waited_for

DEVELOPMENT = {"APP_SETTINGS": "users_api.config.DevelopmentConfig"}
USER = json.dumps({"username": "michael", "email": "hermanmu@gmail.com"})


def ask(running: Service, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    """Send one request on a connection of its own."""
    with closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)) as connection:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        return response.status, response.read()


@pytest.fixture
def production(postgres: PostgreSQL) -> Iterator[Service]:
    """A production server that the test may stop."""
    with service(postgres.create(f"server_{uuid4().hex}")) as running:
        yield running


def test_the_stop_waits_for_what_is_under_way(production: Service) -> None:
    url = production.environment["DATABASE_URL"]
    status, _ = ask(production, "POST", "/users", USER)
    with closing(psycopg2.connect(url)) as blocker, ThreadPoolExecutor() as pool:
        blocker.cursor().execute("SELECT 1 FROM users FOR UPDATE")
        change = pool.submit(ask, production, "PATCH", "/users/1", '{"active": false}')
        until_a_lock_is_waited_for(url)
        production.process.send_signal(signal.SIGTERM)
        until(lambda: "Shutting down" in production.output())
        blocker.rollback()

    assert status == 201
    assert change.result()[0] == 200
    assert production.process.wait(25) == 0


def test_the_stop_answers_who_was_let_in_and_lets_in_nobody_else(production: Service) -> None:
    address = ("127.0.0.1", production.port)
    workers = psutil.Process(production.process.pid).children()
    for worker in workers:
        worker.suspend()
    with closing(socket.create_connection(address, timeout=30)) as early, closing(socket.socket()) as late:
        production.process.send_signal(signal.SIGTERM)
        until(lambda: not is_let_in(address))
        be_amid_the_handshake(late, address)
        for caller in (early, late):
            caller.sendall(b"GET /ping HTTP/1.1\r\nHost: users\r\n\r\n")
        for worker in workers:
            worker.resume()
        answers = [caller.makefile("rb").read() for caller in (early, late)]

    assert [answer.startswith(b"HTTP/1.1 200 ") for answer in answers] == [True, True]
    assert all(b"\r\nconnection: close\r\n" in answer for answer in answers)
    assert production.process.wait(25) == 0


def be_amid_the_handshake(caller: socket.socket, address: tuple[str, int]) -> None:
    """Connect as one who had begun before the listener would let in nobody else."""
    caller.settimeout(30)
    caller.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
    caller.connect(address)
    caller.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 64)


def is_let_in(address: tuple[str, int]) -> bool:
    """Return whether a connection is made within a moment; one that is refused has been heard, and fails."""
    try:
        socket.create_connection(address, timeout=0.5).close()
    except TimeoutError:
        return False
    return True


def test_the_stop_leaves_the_listener_of_systemd_as_it_was(tmp_path: Path) -> None:
    environment = os.environ | DEVELOPMENT | {"DATABASE_URL": f"sqlite:///{tmp_path}/systemd.db"}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        inherit = f'LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" serve 3<&{listener.fileno()}'
        with subprocess.Popen(["bash", "-c", inherit, COMMAND], env=environment, pass_fds=[listener.fileno()]) as serving:
            try:
                with closing(http.client.HTTPConnection(*listener.getsockname(), timeout=30)) as connection:
                    connection.request("GET", "/ping")
                    assert connection.getresponse().status == 200
                serving.send_signal(signal.SIGTERM)
                assert serving.wait(25) == 0
            finally:
                serving.kill()

        assert is_let_in(listener.getsockname())


def test_a_request_that_waits_holds_up_nobody_else(postgres: PostgreSQL) -> None:
    url = postgres.create("slow")
    with service(url, WEB_CONCURRENCY="1") as running, closing(psycopg2.connect(url)) as blocker, ThreadPoolExecutor() as pool:
        ask(running, "POST", "/users", USER)
        blocker.cursor().execute("SELECT 1 FROM users FOR UPDATE")
        change = pool.submit(ask, running, "PATCH", "/users/1", '{"active": false}')
        until_a_lock_is_waited_for(url)

        others = [ask(running, "GET", "/users/1")[0] for _ in range(20)]

        assert others == [200] * 20
        assert not change.done()
        blocker.rollback()
        assert change.result()[0] == 200


@pytest.mark.parametrize(("setting", "workers"), [("", 2), ("3", 3)])
def test_the_number_of_workers_is_a_setting(tmp_path: Path, setting: str, workers: int) -> None:
    with service(f"sqlite:///{tmp_path}/workers.db", WEB_CONCURRENCY=setting) as running:
        until(lambda: running.output().count("Application startup complete.") == workers)

        assert {ask(running, "GET", "/users")[0] for _ in range(10 * workers)} == {200}
        assert running.output().count("Booting worker") == workers


def test_without_its_port_the_server_says_so(tmp_path: Path) -> None:
    with closing(socket.create_server(("0.0.0.0", 0))) as taken:  # noqa: S104 -- where the server would listen.
        port = str(taken.getsockname()[1])
        environment = os.environ | DEVELOPMENT | {"PORT": port, "DATABASE_URL": f"sqlite:///{tmp_path}/taken.db"}

        stopped = subprocess.run([COMMAND, "serve"], env=environment, capture_output=True, text=True, check=False, timeout=60)

    assert stopped.returncode == 1
    (line,) = [line for line in stopped.stderr.splitlines() if "Starting gunicorn" not in line]
    assert line.endswith(f"Port {port} is taken: stop what listens there, or set PORT to another one.")


@contextmanager
def development(folder: Path, *options: str, **environment: str) -> Iterator[Service]:
    """Give a development server; afterwards it is stopped as a person does."""
    running = Service(f"sqlite:///{folder}/development.db", "run", *options, **DEVELOPMENT | environment)
    try:
        yield running
    finally:
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(25) == 0
        running.log.close()


def test_the_development_server_reloads_code_and_document(root: Path, tmp_path: Path) -> None:
    for part in ("openapi", "users_api"):
        copytree(root / part, tmp_path / part)
    with development(tmp_path, PYTHONPATH=str(tmp_path)) as running:
        for starts, file in enumerate(("users_api/handlers/ping.py", "openapi/users.yaml"), 2):
            (tmp_path / file).touch()
            until(lambda: running.output().count("Application startup complete.") == starts)  # noqa: B023 -- called within its turn.


@pytest.mark.parametrize(("options", "readiness"), [(["--migrate"], 200), ([], 503)])
def test_the_development_server_migrates_when_told(tmp_path: Path, options: list[str], readiness: int) -> None:
    with development(tmp_path, *options) as running:
        assert ask(running, "GET", "/health/ready")[0] == readiness


def test_the_development_server_takes_what_a_newer_version_has_migrated(tmp_path: Path) -> None:
    with development(tmp_path, "--migrate"):
        pass
    with closing(sqlite3.connect(tmp_path / "development.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0999'")

    with development(tmp_path, "--migrate") as running:
        assert ask(running, "GET", "/health/ready")[0] == 200


def test_db_current_names_the_migration(server: Service) -> None:
    assert server.command("db", "current") == "0001 (head)\n"


def test_the_package_carries_document_pages_and_migrations(root: Path, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, root]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as package:
        package.extractall(tmp_path)
    site = tmp_path / "users_api"

    where = [sys.executable, "-c", "from users_api.http.document import document_path; print(document_path())"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    found = subprocess.run(where, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert found.stdout == f"{site / 'openapi/users.yaml'}\n"
    for name in ("http/ui/index.html", "http/ui/initializer.js", "migrations/alembic.ini", "migrations/versions"):
        assert (site / name).exists()
