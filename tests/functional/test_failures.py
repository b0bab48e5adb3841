"""The service's 5xx responses, which have fixed messages in the envelope."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from connexion import FlaskApp
from sqlalchemy import text
from starlette.testclient import TestClient

from tests.support.logs import outages
from tests.support.postgres import free_port
from tests.support.security_headers import is_guarded
from tests.support.waiting import until
from users_api.app import MIGRATIONS, create_app
from users_api.database import db
from users_api.database.versions import newest_migration
from users_api.models import LARGEST_ID

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
        (
            "CREATE TABLE users (id text, username text, email text, active boolean, "
            "created_date text, version integer)"
        ),
    ),
}
LAST_ID = {
    "sqlite": f"INSERT INTO sqlite_sequence VALUES ('users', {LARGEST_ID})",  # noqa: S608 -- a constant.
    "postgresql": f"SELECT setval('users_id_seq', {LARGEST_ID})",
}
OPERATIONS = [
    ("GET", "/users"),
    ("POST", "/users"),
    *((method, "/users/1") for method in ("GET", "PUT", "PATCH", "DELETE")),
]


@pytest.fixture
def client_without_database(
    backend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[TestClient]:
    """A client of an application whose database is unavailable."""
    away = {
        "sqlite": f"sqlite:///{tmp_path}/no/folder.db",
        "postgresql": f"postgresql://users@127.0.0.1:{free_port()}/users",
    }
    monkeypatch.setenv("APP_SETTINGS", "users_api.config.ProductionConfig")
    monkeypatch.setenv("AUTH", "none")
    monkeypatch.setenv("DATABASE_URL", away[backend])
    with create_app().test_client(base_url="http://testserver") as client:
        yield client


def body_of(method: str) -> dict[str, object]:
    """Return the request body for this method, as keyword arguments."""
    return {"json": USER} if method in {"POST", "PUT", "PATCH"} else {}


@pytest.mark.parametrize(("method", "path"), [*OPERATIONS, ("GET", "/health/ready")])
def test_an_unavailable_database_results_in_503(
    client_without_database: TestClient, method: str, path: str
) -> None:
    response = client_without_database.request(method, path, **body_of(method))

    assert (response.status_code, response.json()) == (503, AWAY)
    assert response.headers["Retry-After"] == "1"
    assert is_guarded(response.headers)


@pytest.mark.parametrize("path", ["/ping", "/health/live"])
def test_an_unavailable_database_does_not_affect_liveness(
    client_without_database: TestClient, path: str
) -> None:
    assert client_without_database.get(path).status_code == 200


@pytest.fixture(
    params=[
        ("users RENAME TO people", "people RENAME TO users"),
        ("users RENAME COLUMN email TO address", "users RENAME COLUMN address TO email"),
    ],
    ids=["table", "column"],
)
def client_without_migration(
    app: FlaskApp, client: TestClient, request: pytest.FixtureRequest
) -> Iterator[TestClient]:
    """A client of an application whose database lacks a table or column."""
    change, undo = request.param
    run(app, f"ALTER TABLE {change}")
    yield client
    run(app, f"ALTER TABLE {undo}")


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_missing_migration_results_in_503(
    client_without_migration: TestClient, method: str, path: str
) -> None:
    response = client_without_migration.request(method, path, **body_of(method))

    assert (response.status_code, response.json()) == (503, AWAY)
    assert response.headers["Retry-After"] == "1"
    assert is_guarded(response.headers)


def test_the_log_names_the_command_that_migrates(
    client_without_migration: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    # At most one log line a second.
    until(lambda: bool(client_without_migration.get("/users").is_error and outages(caplog)))

    (line,) = outages(caplog)
    assert line.startswith("The database needs a migration, run `users-api db upgrade`: ")
    assert "\n" not in line


@pytest.fixture
def client_with_bug(app: FlaskApp, client: TestClient, backend: str) -> Iterator[TestClient]:
    """A client of an application whose table has unexpected columns."""
    run(app, "ALTER TABLE users RENAME TO people", *MISFIT[backend])
    yield client
    run(app, "DROP TABLE users", "ALTER TABLE people RENAME TO users")


def run(app: FlaskApp, *statements: str) -> None:
    """Run the statements on the application's database."""
    with app.app.app_context(), db.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_an_unhandled_exception_exposes_no_details(
    client_with_bug: TestClient, method: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    response = client_with_bug.request(method, path, **body_of(method))

    assert (response.status_code, response.json()) == (500, FAULT)
    assert is_guarded(response.headers)
    assert "users" in caplog.text
    assert "hermanmu@gmail.com" not in caplog.text


@pytest.mark.parametrize(
    "change", ["DELETE FROM alembic_version", "UPDATE alembic_version SET version_num = '0000'"]
)
def test_a_database_without_the_newest_migration_is_not_ready(
    app: FlaskApp, client: TestClient, change: str
) -> None:
    run(app, change)

    answer = client.get("/health/ready")

    newest = f"INSERT INTO alembic_version VALUES ('{newest_migration(str(MIGRATIONS))}')"  # noqa: S608 -- from our own files.
    run(app, "DELETE FROM alembic_version", newest)
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "error",
        "message": "The database schema is not at the newest migration: run `users-api db upgrade`.",
    }
    assert client.get("/health/ready").json() == {"status": "success", "message": "ready"}


def test_exhausted_ids_result_in_503(
    app: FlaskApp, client: TestClient, backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    run(app, LAST_ID[backend])
    until(lambda: bool(client.post("/users", json=USER).is_error and outages(caplog)))

    response = client.post("/users", json=USER)

    assert (response.status_code, response.json()) == (
        503,
        {"status": "error", "message": "Nothing can be added: the ids are exhausted."},
    )
    assert response.headers["Retry-After"] == "1"
    assert outages(caplog)[0].startswith("Ids exhausted: ")
    assert client.get("/users").status_code == 200


def test_violation_of_an_unknown_constraint_results_in_500(app: FlaskApp, client: TestClient) -> None:
    run(app, "CREATE UNIQUE INDEX uq_users_username ON users (username)")
    client.post("/users", json=USER)

    response = client.post("/users", json=USER | {"email": "michael@mherman.org"})

    run(app, "DROP INDEX uq_users_username")
    assert (response.status_code, response.json()) == (500, FAULT)
    assert is_guarded(response.headers)
