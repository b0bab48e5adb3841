"""A request can be followed through the logs by its id, and no line contains what a client sent."""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest

from tests.support.issued import EVERYTHING, HEADER, OWN_ISSUER, claims
from tests.support.postgres import PostgreSQL
from tests.support.service import Service, failed_start, migrate, service
from tests.support.waiting import until
from users_api.access.keys import SigningKeys, generate_key

SECRETS = ("ada", "lovelace", "example.org", "hunter2", "secret-path", "q=")


def lines(running: Service) -> list[dict[str, Any]]:
    """Return the complete lines of the service's log."""
    return [json.loads(line) for line in running.output().splitlines(keepends=True) if line.endswith("}\n")]


def of_request(running: Service, request_id: str, count: int = 1) -> list[dict[str, Any]]:
    """Return the lines of a request, once there are so many of them."""

    def found() -> list[dict[str, Any]]:
        return [line for line in lines(running) if line.get("request_id") == request_id]

    until(lambda: len(found()) >= count)
    return found()


@contextmanager
def logged_statements(postgres: PostgreSQL, database_url: str) -> Iterator[None]:
    """Let PostgreSQL log all statements of new sessions of a database."""
    name = database_url.rpartition("/")[2]
    connection = psycopg2.connect(postgres.url("postgres"))
    connection.autocommit = True
    connection.cursor().execute(f"ALTER DATABASE {name} SET log_statement = 'all'")
    yield
    connection.cursor().execute(f"ALTER DATABASE {name} RESET log_statement")
    connection.close()


def test_a_request_is_found_by_its_id_in_response_log_and_database(postgres: PostgreSQL) -> None:
    with postgres.temporary("logs") as url, logged_statements(postgres, url), service(url) as running:
        response = httpx.get(f"{running.url}/users/7", headers={"X-Request-ID": "find-me.1"})
        generated = httpx.get(f"{running.url}/users/7").headers["X-Request-ID"]

        assert response.headers["X-Request-ID"] == "find-me.1"
        for request_id in ("find-me.1", generated):
            (line,) = of_request(running, request_id)
            assert line.pop("time") > "2026"
            assert 0 < line.pop("ms") < 60_000
            assert line == {
                "level": "info",
                "message": "request",
                "request_id": request_id,
                "method": "GET",
                "operation": "get_user",
                "status": 404,
                "bytes": len(response.content),
            }
            statements = (postgres.folder / "log").read_text()
            assert re.search(
                rf"FROM users \s+WHERE users.id = 7 /\*request_id='{request_id}'\*/\n", statements
            )


def test_the_line_of_a_request_with_a_token_names_its_client(tmp_path: Path) -> None:
    key = generate_key()
    token = SigningKeys.parse(key).sign(HEADER, claims(OWN_ISSUER, scope=EVERYTHING))
    headers = {"Authorization": f"Bearer {token}"}
    with service(f"sqlite:///{tmp_path}/logs.db", AUTH="required", TOKEN_KEYS=key) as running:
        ids = [httpx.get(f"{running.url}/users", headers=headers).headers["X-Request-ID"] for _ in range(2)]
        anonymous = httpx.get(f"{running.url}/users").headers["X-Request-ID"]

        assert [of_request(running, each)[0]["client"] for each in ids] == [
            claims(OWN_ISSUER)["client_id"]
        ] * 2
        assert "client" not in of_request(running, anonymous)[0]


def test_the_log_contains_nothing_that_a_client_sent(server: Service) -> None:
    user = {"username": "ada lovelace", "email": "ada@example.org"}
    headers = {"Authorization": "Bearer hunter2", "X-Request-ID": "ada lovelace"}
    seen = [
        httpx.post(f"{server.url}/users", json=user, headers=headers),
        httpx.post(f"{server.url}/users", json=user, headers=headers),
        httpx.get(f"{server.url}/users?email=ada@example.org&q=ada", headers=headers),
        httpx.get(f"{server.url}/secret-path/ada@example.org", headers=headers),
        httpx.get(f"{server.url}/ui/?q=ada", headers=headers),
    ]

    found = [line for each in seen for line in of_request(server, each.headers["X-Request-ID"])]

    assert [line["status"] for line in found] == [201, 400, 200, 404, 200]
    assert [line["operation"] for line in found] == ["create_user", "create_user", "list_users", None, None]
    assert [word for word in SECRETS if word in json.dumps(found)] == []


def test_a_failure_is_logged_with_the_request_that_it_belongs_to(postgres: PostgreSQL) -> None:
    with postgres.temporary("outage") as url, service(url) as running:
        connection = psycopg2.connect(url)
        connection.autocommit = True
        connection.cursor().execute("ALTER TABLE users RENAME TO away")
        connection.close()

        response = httpx.get(f"{running.url}/users/7")
        outage, request = of_request(running, response.headers["X-Request-ID"], 2)

    assert response.status_code == 503
    assert (outage["level"], request["level"]) == ("error", "error")
    assert outage["message"].startswith("The database needs a migration")
    assert request["status"] == 503


def test_a_failure_of_many_requests_is_logged_once_in_a_second_with_their_number(
    postgres: PostgreSQL,
) -> None:
    with postgres.temporary("outage") as url, service(url, WEB_CONCURRENCY="1") as running:
        connection = psycopg2.connect(url)
        connection.autocommit = True
        connection.cursor().execute("ALTER TABLE users RENAME TO away")
        connection.close()

        with httpx.Client(base_url=running.url) as client:
            for _ in range(40):
                assert client.get("/users/7").status_code == 503

        def outages() -> list[dict[str, Any]]:
            return [line for line in lines(running) if "needs a migration" in line["message"]]

        until(lambda: sum(1 + line.get("repeated", 0) for line in outages()) == 40)
        assert len(outages()) < 10


def test_a_service_whose_log_is_not_read_goes_on(tmp_path: Path) -> None:
    url, reading, writing = f"sqlite:///{tmp_path}/stuck.db", *os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    migrate(url)
    with (
        os.fdopen(reading, "rb") as log,
        os.fdopen(writing, "wb") as output,
        closing(Service(url, output=output)) as running,
    ):
        with httpx.Client(base_url=running.url) as client:
            statuses = [client.get("/ping").status_code for _ in range(200)]
        stopped = running.stop()
        output.close()
        read = log.read()

    assert statuses == [200] * 200
    assert stopped == 0
    assert read.count(b'"operation":"ping"') < 200  # The others did not fit.


def test_the_level_decides_which_requests_are_logged(tmp_path: Path) -> None:
    with service(f"sqlite:///{tmp_path}/level.db", LOG_LEVEL="error") as running:
        assert httpx.get(f"{running.url}/ping").status_code == 200
        (tmp_path / "level.db").unlink()
        failed = httpx.get(f"{running.url}/users/7").headers["X-Request-ID"]

        of_request(running, failed, 2)
        assert {line["level"] for line in lines(running)} == {"error"}


def test_text_is_for_people(tmp_path: Path) -> None:
    with service(f"sqlite:///{tmp_path}/text.db", LOG_FORMAT="text") as running:
        request_id = httpx.get(f"{running.url}/ping").headers["X-Request-ID"]

        until(lambda: request_id in running.output())
        (line,) = [line for line in running.output().splitlines() if request_id in line]

    assert re.fullmatch(rf"\d\d:\d\d:\d\d  200  GET    ping           +\d+\.\d ms +37 B  {request_id}", line)


def test_the_development_server_logs_requests_for_people(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/development.db"
    settings = {"APP_SETTINGS": "users_api.config.DevelopmentConfig", "ALLOWED_HOSTS": "127.0.0.1"}
    with closing(Service(url, "run", "--migrate", **settings)) as running:
        request_id = httpx.get(f"{running.url}/users/7").headers["X-Request-ID"]

        until(lambda: request_id in running.output())
        assert "GET /users/7" not in running.output()
        assert "404  GET    get_user" in running.output()
        running.stop()


@pytest.mark.parametrize(
    ("name", "value", "choices"),
    [
        ("LOG_LEVEL", "loud", "`debug`, `info`, `warning` or `error`"),
        ("LOG_FORMAT", "JSON", "`json` or `text`"),
    ],
)
def test_a_wrong_setting_stops_the_start(name: str, value: str, choices: str, tmp_path: Path) -> None:
    error = f"Error: {name} must be {choices}, not {value!r}\n"

    assert failed_start(tmp_path, **{name: value}) == (1, error)
