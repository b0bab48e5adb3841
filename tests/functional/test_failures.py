"""Our own failures: a fixed text in the envelope, whatever happened."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from connexion import FlaskApp
from sqlalchemy import text
from starlette.testclient import TestClient

from tests.postgres import free_port
from users_api.app import create_app
from users_api.db import db

FAULT = {"status": "error", "message": "Something went wrong on our side."}
AWAY = {"status": "error", "message": "The service is unavailable for the moment. Please try again."}
USER = {"username": "michael", "email": "hermanmu@gmail.com"}
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


@pytest.fixture
def client_with_misfit(app: FlaskApp, client: TestClient) -> Iterator[TestClient]:
    """A client of an application whose table is not what the code takes it for: a bug."""
    with app.app.app_context(), db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE users RENAME TO people"))
    yield client
    with app.app.app_context(), db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE people RENAME TO users"))


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_bug_tells_nothing(client_with_misfit: TestClient, method: str, path: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = client_with_misfit.request(method, path, **body_of(method))

    assert (answer.status_code, answer.json()) == (500, FAULT)
    assert "users" in caplog.text
    assert "hermanmu@gmail.com" not in caplog.text


def test_a_bug_is_counted(client_with_misfit: TestClient) -> None:
    counted = re.compile(r'http_requests_total{operation="get_user",status="500"} \d+')
    client_with_misfit.get("/users/1")
    before = counted.findall(client_with_misfit.get("/metrics").text)

    client_with_misfit.get("/users/1")

    after = counted.findall(client_with_misfit.get("/metrics").text)
    assert [int(line.split()[1]) - 1 for line in after] == [int(line.split()[1]) for line in before]


@pytest.mark.parametrize("change", ["DELETE FROM alembic_version", "UPDATE alembic_version SET version_num = '0000'"])
def test_a_database_without_the_newest_migration_is_not_ready(app: FlaskApp, client: TestClient, change: str) -> None:
    with app.app.app_context(), db.engine.begin() as connection:
        connection.execute(text(change))

    answer = client.get("/health/ready")

    with app.app.app_context(), db.engine.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('0001')"))
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "error",
        "message": "The database schema is not at the newest migration: run `users-api db upgrade`.",
    }
    assert client.get("/health/ready").json() == {"status": "success", "message": "ready"}


def test_a_constraint_that_no_caller_can_break_is_a_bug(app: FlaskApp, client: TestClient) -> None:
    with app.app.app_context(), db.engine.begin() as connection:
        connection.execute(text("CREATE UNIQUE INDEX uq_users_username ON users (username)"))
    client.post("/users", json=USER)

    answer = client.post("/users", json=USER | {"email": "michael@mherman.org"})

    with app.app.app_context(), db.engine.begin() as connection:
        connection.execute(text("DROP INDEX uq_users_username"))
    assert (answer.status_code, answer.json()) == (500, FAULT)
