"""Start, reload and shutdown of the production and the development server."""

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
from tempfile import TemporaryFile
from zipfile import ZipFile

import psutil
import psycopg2
import pytest

from tests.support.postgres import PostgreSQL, free_port
from tests.support.service import COMMAND, Service, service
from tests.support.waiting import until, until_a_lock_is_waited_for

DEVELOPMENT = {"APP_SETTINGS": "users_api.config.DevelopmentConfig"}
USER = json.dumps({"username": "michael", "email": "hermanmu@gmail.com"})


def ask(running: Service, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    """Send one request on a new connection."""
    with closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)) as connection:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        return response.status, response.read()


@pytest.fixture
def production(postgres: PostgreSQL) -> Iterator[Service]:
    """A production server, which the test may stop."""
    with postgres.temporary("server") as url, service(url) as running:
        yield running


def test_graceful_shutdown_waits_for_requests_in_progress(production: Service) -> None:
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


def test_graceful_shutdown_finishes_accepted_requests_and_refuses_new_connections(
    production: Service,
) -> None:
    address = ("127.0.0.1", production.port)
    workers = psutil.Process(production.process.pid).children()
    for worker in workers:
        worker.suspend()
    with closing(socket.create_connection(address, timeout=30)) as early, closing(socket.socket()) as late:
        production.process.send_signal(signal.SIGTERM)
        until(lambda: not accepts_connections(address))
        connect_past_the_minimum_ttl(late, address)
        for client in (early, late):
            client.sendall(b"GET /ping HTTP/1.1\r\nHost: users\r\n\r\n")
        for worker in workers:
            worker.resume()
        responses = [client.makefile("rb").read() for client in (early, late)]

    assert [response.startswith(b"HTTP/1.1 200 ") for response in responses] == [True, True]
    assert all(b"\r\nconnection: close\r\n" in response for response in responses)
    assert production.process.wait(25) == 0


def connect_past_the_minimum_ttl(client: socket.socket, address: tuple[str, int]) -> None:
    """Connect like a client whose handshake began before the listener rejected new connections."""
    client.settimeout(30)
    client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
    client.connect(address)
    client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 64)


def accepts_connections(address: tuple[str, int]) -> bool:
    """Return whether the connection succeeds before a timeout; a refused one raises."""
    try:
        socket.create_connection(address, timeout=0.5).close()
    except TimeoutError:
        return False
    return True


def test_graceful_shutdown_leaves_systemds_listener_unchanged(tmp_path: Path) -> None:
    environment = os.environ | DEVELOPMENT | {"DATABASE_URL": f"sqlite:///{tmp_path}/systemd.db"}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        inherit = f'LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" serve 3<&{listener.fileno()}'
        with subprocess.Popen(
            ["bash", "-c", inherit, COMMAND], env=environment, pass_fds=[listener.fileno()]
        ) as serving:
            try:
                with closing(http.client.HTTPConnection(*listener.getsockname(), timeout=30)) as connection:
                    connection.request("GET", "/ping")
                    assert connection.getresponse().status == 200
                serving.send_signal(signal.SIGTERM)
                assert serving.wait(25) == 0
            finally:
                serving.kill()

        assert accepts_connections(listener.getsockname())


def test_a_blocked_request_does_not_delay_others(postgres: PostgreSQL) -> None:
    url = postgres.create("slow")
    with (
        service(url, WEB_CONCURRENCY="1") as running,
        closing(psycopg2.connect(url)) as blocker,
        ThreadPoolExecutor() as pool,
    ):
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


@pytest.mark.parametrize("command", ["serve", "run"])
@pytest.mark.parametrize("by_option", [False, True])
def test_a_taken_port_is_reported_in_one_line(tmp_path: Path, command: str, *, by_option: bool) -> None:
    with closing(socket.create_server(("0.0.0.0", 0))) as taken:  # noqa: S104 -- the server's own address.
        port = str(taken.getsockname()[1])
        environment = os.environ | DEVELOPMENT | {"DATABASE_URL": f"sqlite:///{tmp_path}/taken.db"}
        options = ["--port", port] if by_option else []

        stopped = subprocess.run(
            [COMMAND, command, *options],
            env=environment | {"PORT": "5000" if by_option else port},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert stopped.returncode == 1
    lines = f"{stopped.stdout}{stopped.stderr}".splitlines()
    (line,) = [line for line in lines if "Starting gunicorn" not in line]
    assert f"Port {port} is in use: stop the process that listens on it, or set PORT to another port." in line


def test_serve_warns_if_every_host_is_allowed(postgres: PostgreSQL) -> None:
    warning = "Warning: every host is allowed and there is no authentication."
    url = postgres.create("server_hosts")
    with service(url) as every, service(url, ALLOWED_HOSTS="localhost") as one:
        outputs = [every.output(), one.output()]

    assert [warning in output for output in outputs] == [True, False]


def test_serve_warns_if_every_origin_is_allowed(tmp_path: Path) -> None:
    warning = (
        "Warning: every origin is allowed and there is no authentication: any web page can read and change "
    )
    url = f"sqlite:///{tmp_path}/origins.db"
    with service(url, CORS_ORIGINS="*") as every, service(url, CORS_ORIGINS="https://app.example.org") as one:
        outputs = [every.output(), one.output()]

    assert [warning in output for output in outputs] == [True, False]


def test_serve_without_settings_prints_the_database_file(tmp_path: Path, root: Path) -> None:
    for part in ("openapi", "users_api"):
        copytree(root / part, tmp_path / part)
    port = str(free_port())
    environment = {
        name: value for name, value in os.environ.items() if name not in {"APP_SETTINGS", "DATABASE_URL"}
    }
    with TemporaryFile("w+") as log:
        serving = subprocess.Popen(
            [COMMAND, "serve", "--port", port],
            env=environment | {"PYTHONPATH": str(tmp_path)},
            cwd=tmp_path,
            stdout=log,
            stderr=log,
        )
        try:
            until(
                lambda: b"Application startup complete." in Path(f"/proc/self/fd/{log.fileno()}").read_bytes()
            )
            with closing(http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)) as connection:
                connection.request("GET", "/ping")
                status = connection.getresponse().status
            serving.send_signal(signal.SIGTERM)
            assert serving.wait(25) == 0
        finally:
            serving.kill()
        log.seek(0)
        first = log.readline()

    assert status == 200
    assert first == (
        f"Serving the SQLite file {tmp_path}/instance/users.db with development settings on all interfaces; "
        "set APP_SETTINGS and DATABASE_URL for production, and ALLOWED_HOSTS for clients on other machines.\n"
    )


@contextmanager
def development(folder: Path, *options: str, **environment: str) -> Iterator[Service]:
    """Yield a development server, and send it SIGINT afterwards."""
    running = Service(f"sqlite:///{folder}/development.db", "run", *options, **DEVELOPMENT | environment)
    try:
        yield running
    finally:
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(25) == 0
        running.log.close()


def test_the_development_server_reloads_code_document_and_pages(root: Path, tmp_path: Path) -> None:
    files = ("users_api/handlers/health.py", "openapi/users.yaml", "users_api/ui/index.html")
    for part in ("openapi", "users_api"):
        copytree(root / part, tmp_path / part)
    with development(tmp_path, PYTHONPATH=str(tmp_path)) as running:
        for starts, file in enumerate(files, 2):
            (tmp_path / file).touch()
            until(lambda: running.output().count("Application startup complete.") == starts)  # noqa: B023 -- called within the iteration.


@pytest.mark.parametrize(
    ("file", "wrong", "line"),
    [
        (
            "users_api/handlers/health.py",
            "x = 1\ndef ping(:\n",
            "users_api/handlers/health.py, line 2: invalid syntax",
        ),
        (
            "users_api/errors.py",
            "import nothing_like_this",
            "users_api/errors.py, line 1: ModuleNotFoundError: No module",
        ),
        ("users_api/config.py", "def (", "users_api/config.py, line 1: invalid syntax"),
        (
            "openapi/users.yaml",
            "openapi: 3.0.3\npaths: [\n",
            "openapi/users.yaml:3: did not find expected node",
        ),
    ],
)
def test_the_development_server_reports_errors_of_changes(
    root: Path, tmp_path: Path, file: str, wrong: str, line: str
) -> None:
    for part in ("openapi", "users_api"):
        copytree(root / part, tmp_path / part)
    right = (tmp_path / file).read_text()
    with development(tmp_path, PYTHONPATH=str(tmp_path)) as running:
        (tmp_path / file).write_text(wrong)
        until(lambda: running.output().count("Application startup complete.") == 2)

        status, body = ask(running, "GET", "/users")
        broken = running.output()
        (tmp_path / file).write_text(right)
        until(lambda: running.output().count("Application startup complete.") == 3)

        assert (status, json.loads(body)["status"]) == (503, "error")
        assert json.loads(body)["message"].startswith(line)
        assert broken.count(f"ERROR:    {line}") == 1
        assert "Traceback" not in broken
        assert ask(running, "GET", "/ping")[0] == 200


def test_the_development_server_prints_its_url_and_database_last(tmp_path: Path) -> None:
    with development(tmp_path, "--migrate") as running:
        until(lambda: "Ctrl-C" in running.output())

        assert (
            running.output()
            .partition("Application startup complete.\n")[2]
            .startswith(
                f"""
  Swagger UI  {running.url}/ui/
  Database    the SQLite file {tmp_path}/development.db
  Stop        Ctrl-C
"""
            )
        )


def test_the_development_server_seeds_only_an_empty_database(tmp_path: Path) -> None:
    with development(tmp_path, "--migrate", "--seed") as running:
        first = json.loads(ask(running, "GET", "/users")[1])["data"]["users"]
        ask(running, "DELETE", "/users/1")
    with development(tmp_path, "--migrate", "--seed") as running:
        second = json.loads(ask(running, "GET", "/users")[1])["data"]["users"]

    assert [user["email"] for user in first] == ["hermanmu@gmail.com", "michael@mherman.org"]
    assert [user["email"] for user in second] == ["michael@mherman.org"]


@pytest.mark.parametrize(("options", "readiness"), [(["--migrate"], 200), ([], 503)])
def test_the_development_server_migrates_on_request(
    tmp_path: Path, options: list[str], readiness: int
) -> None:
    with development(tmp_path, *options) as running:
        assert ask(running, "GET", "/health/ready")[0] == readiness


def test_the_development_server_accepts_a_newer_schema(tmp_path: Path) -> None:
    with development(tmp_path, "--migrate"):
        pass
    with closing(sqlite3.connect(tmp_path / "development.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0999'")

    with development(tmp_path, "--migrate") as running:
        assert ask(running, "GET", "/health/ready")[0] == 200


def test_db_current_names_the_migration(server: Service) -> None:
    assert server.command("db", "current") == server.command("db", "heads")


def test_the_package_includes_document_pages_and_migrations(root: Path, tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        tmp_path,
        root,
    ]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as package:
        package.extractall(tmp_path)
    site = tmp_path / "users_api"

    where = [sys.executable, "-c", "from users_api.document import document_path; print(document_path())"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    found = subprocess.run(where, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert found.stdout == f"{site / 'openapi/users.yaml'}\n"
    for name in ("ui/index.html", "ui/initializer.js", "migrations/alembic.ini", "migrations/versions"):
        assert (site / name).exists()
