"""A PostgreSQL database whose encoding cannot store every name is refused."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from starlette.testclient import TestClient

from tests.support.logs import outages
from tests.support.postgres import PostgreSQL
from tests.support.service import COMMAND, migrate
from tests.support.waiting import until
from users_api.app import create_app

AWAY = {"status": "error", "message": "The service is unavailable for the moment. Please try again."}
REASON = "the database's encoding is {}; create it with ENCODING 'UTF8'"
PRODUCTION = {"APP_SETTINGS": "users_api.config.ProductionConfig", "AUTH": "none"}


@pytest.fixture(scope="module", params=["SQL_ASCII", "LATIN1"])
def encoding(request: pytest.FixtureRequest) -> str:
    """An encoding that cannot store every name."""
    return request.param


@pytest.fixture(scope="module")
def url(postgres: PostgreSQL, encoding: str) -> str:
    """A database with that encoding."""
    name = f"encoded_{encoding.lower()}"
    with closing(psycopg2.connect(postgres.url("postgres"))) as connection:
        connection.autocommit = True
        connection.cursor().execute(
            f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    return postgres.url(name, postgres.entrance)


@pytest.fixture
def refused_client(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A client of an application on that database."""
    for name, value in (PRODUCTION | {"DATABASE_URL": url}).items():
        monkeypatch.setenv(name, value)
    with create_app().test_client(base_url="http://testserver") as client:
        yield client


@pytest.mark.parametrize("path", ["/users", "/users/1", "/health/ready"])
def test_a_database_with_another_encoding_results_in_503(refused_client: TestClient, path: str) -> None:
    response = refused_client.get(path)

    assert (response.status_code, response.json()) == (503, AWAY)


def test_the_log_names_the_encoding(
    refused_client: TestClient, encoding: str, caplog: pytest.LogCaptureFixture
) -> None:
    # At most one log line a second.
    until(lambda: bool(refused_client.get("/users").is_error and outages(caplog)))

    assert outages(caplog) == [f"Database unavailable: {REASON.format(encoding)}"]


@pytest.mark.parametrize("command", [["db", "upgrade"], ["seed_db"], ["recreate_db", "--force"]])
def test_commands_name_the_encoding_in_one_line(url: str, encoding: str, command: list[str]) -> None:
    environment = os.environ | PRODUCTION | {"DATABASE_URL": url}

    done = subprocess.run([COMMAND, *command], env=environment, capture_output=True, text=True, check=False)

    line = f"Error: the database in DATABASE_URL reports: {REASON.format(encoding)}\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_a_client_encoding_of_the_environment_has_no_effect(
    postgres: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.create("users_client_encoding")
    for name, value in (PRODUCTION | {"DATABASE_URL": url, "PGCLIENTENCODING": "LATIN1"}).items():
        monkeypatch.setenv(name, value)
    migrate(url)

    with create_app().test_client(base_url="http://testserver") as client:
        added = client.post("/users", json={"username": "Ada \U0001f4a1", "email": "ada@example.org"})

    assert (added.status_code, added.json()["data"]["username"]) == (201, "Ada \U0001f4a1")
