"""Our own failures: a fixed text in the envelope, whatever happened."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from connexion import FlaskApp
from sqlalchemy import text
from starlette.testclient import TestClient

from tests.postgres import free_port
from tests.waiting import until
from users_api.app import create_app
from users_api.db import db

FAULT = {"status": "error", "message": "Something went wrong on our side."}
AWAY = {"status": "error", "message": "The service is unavailable for the moment. Please try again."}
USER = {"username": "michael", "email": "hermanmu@gmail.com"}
MISFIT = {
    "sqlite": (
        "CREATE TABLE users (id integer, username text, active boolean, created_date text, version integer)",
        "INSERT INTO users (id) VALUES (1)",
        "ALTER TABLE users ADD COLUMN email AS (abs(-9223372036854775808))",
    ),
    "postgresql": (
        "CREATE TABLE users (id text, username text, email text, active boolean, created_date text, version integer)",
    ),
}
OPERATIONS = [("GET", "/users"), ("POST", "/users"), *((method, "/users/1") for method in ("GET", "PUT", "PATCH", "DELETE"))]


@pytest.fixture
def client_without_database(backend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TestClient]:
    """A client of an application whose database is away."""
    away = {"sqlite": f"sqlite:///{tmp_path}/no/folder.db", "postgresql": f"postgresql://users@127.0.0.1:{free_port()}/users"}
    monkeypatch.setenv("APP_SETTINGS", "users_api.config.ProductionConfig")
    monkeypatch.setenv("DATABASE_URL", away[backend])
    with create_app().test_client(base_url="http://testserver") as client:
        yield client


def body_of(method: str) -> dict[str, object]:
    """Return what a request with this method sends."""
    return {"json": USER} if method in {"POST", "PUT", "PATCH"} else {}


@pytest.mark.parametrize(("method", "path"), [*OPERATIONS, ("GET", "/health/ready")])
def test_without_the_database_the_answer_is_to_try_again(client_without_database: TestClient, method: str, path: str) -> None:
    answer = client_without_database.request(method, path, **body_of(method))

    assert (answer.status_code, answer.json()) == (503, AWAY)
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("path", ["/ping", "/health/live"])
def test_without_the_database_the_process_still_lives(client_without_database: TestClient, path: str) -> None:
    assert client_without_database.get(path).status_code == 200


@pytest.fixture(
    params=[
        ("users RENAME TO people", "people RENAME TO users"),
        ("users RENAME COLUMN email TO address", "users RENAME COLUMN address TO email"),
    ],
    ids=["table", "column"],
)
def client_without_migration(app: FlaskApp, client: TestClient, request: pytest.FixtureRequest) -> Iterator[TestClient]:
    """A client of an application whose database has not all that the newest migration gives it."""
    change, undo = request.param
    run(app, f"ALTER TABLE {change}")
    yield client
    run(app, f"ALTER TABLE {undo}")


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_without_a_migration_the_answer_is_to_try_again(client_without_migration: TestClient, method: str, path: str) -> None:
    answer = client_without_migration.request(method, path, **body_of(method))

    assert (answer.status_code, answer.json()) == (503, AWAY)
    assert answer.headers["Retry-After"] == "1"


def test_the_log_says_which_command_is_wanted(client_without_migration: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    until(lambda: bool(client_without_migration.get("/users").is_error and caplog.records))  # At most one line a second.

    (line,) = caplog.messages
    assert line.startswith("The database waits for a migration, run `users-api db upgrade`: ")
    assert "\n" not in caplog.text.strip()


@pytest.fixture
def client_with_bug(app: FlaskApp, client: TestClient, backend: str) -> Iterator[TestClient]:
    """A client of an application whose table is not what the code takes it for."""
    run(app, "ALTER TABLE users RENAME TO people", *MISFIT[backend])
    yield client
    run(app, "DROP TABLE users", "ALTER TABLE people RENAME TO users")


def run(app: FlaskApp, *statements: str) -> None:
    """Run the statements on the application's database."""
    with app.app.app_context(), db.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_bug_tells_nothing(client_with_bug: TestClient, method: str, path: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = client_with_bug.request(method, path, **body_of(method))

    assert (answer.status_code, answer.json()) == (500, FAULT)
    assert "users" in caplog.text
    assert "hermanmu@gmail.com" not in caplog.text


def test_a_bug_is_counted(client_with_bug: TestClient) -> None:
    counted = re.compile(r'http_requests_total{operation="get_user",status="500"} \d+')
    client_with_bug.get("/users/1")
    before = counted.findall(client_with_bug.get("/metrics").text)

    client_with_bug.get("/users/1")

    after = counted.findall(client_with_bug.get("/metrics").text)
    assert [int(line.split()[1]) - 1 for line in after] == [int(line.split()[1]) for line in before]


@pytest.mark.parametrize("change", ["DELETE FROM alembic_version", "UPDATE alembic_version SET version_num = '0000'"])
def test_a_database_without_the_newest_migration_is_not_ready(app: FlaskApp, client: TestClient, change: str) -> None:
    run(app, change)

    answer = client.get("/health/ready")

    run(app, "DELETE FROM alembic_version", "INSERT INTO alembic_version VALUES ('0001')")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "error",
        "message": "The database schema is not at the newest migration: run `users-api db upgrade`.",
    }
    assert client.get("/health/ready").json() == {"status": "success", "message": "ready"}


def test_a_constraint_that_no_caller_can_break_is_a_bug(app: FlaskApp, client: TestClient) -> None:
    run(app, "CREATE UNIQUE INDEX uq_users_username ON users (username)")
    client.post("/users", json=USER)

    answer = client.post("/users", json=USER | {"email": "michael@mherman.org"})

    run(app, "DROP INDEX uq_users_username")
    assert (answer.status_code, answer.json()) == (500, FAULT)
