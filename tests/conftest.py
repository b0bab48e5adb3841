"""Fixtures that several suites share; tests that use a database run on SQLite and PostgreSQL."""

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from connexion import FlaskApp
from flask_migrate import upgrade
from hypothesis import settings
from starlette.testclient import TestClient

from tests.support.emptying import empty
from tests.support.postgres import PostgreSQL, postgresql
from tests.support.service import Service, service
from users_api.app import create_app
from users_api.database import db

DATABASES = ("sqlite", "postgresql")

settings.register_profile("same each time", derandomize=True)
settings.load_profile("same each time")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgreSQL]:
    """A temporary PostgreSQL server."""
    with postgresql("-c", "max_wal_size=64MB", "-c", "min_wal_size=32MB") as server:  # The default is 1 GB.
        yield server


@pytest.fixture(scope="session", params=DATABASES)
def backend(request: pytest.FixtureRequest) -> str:
    """The database system, as a parameter of each test that uses it."""
    return request.param


@pytest.fixture(scope="session")
def database_url(
    backend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The database of the in-process tests; DATABASE_TEST_URL replaces the temporary PostgreSQL server."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/test.db"
    return os.environ.get("DATABASE_TEST_URL") or request.getfixturevalue("postgres").create("users_test")


@pytest.fixture(scope="session")
def app(database_url: str) -> Iterator[FlaskApp]:
    """The application with a migrated database."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("APP_SETTINGS", "users_api.config.TestingConfig")
        environment.setenv("AUTH", "none")
        environment.setenv("DATABASE_TEST_URL", database_url)
        application = create_app()
    with application.app.app_context():
        upgrade()
    yield application
    with application.app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="session")
def running_client(app: FlaskApp) -> Iterator[TestClient]:
    """A client for the whole session, so that the application's lifespan runs once."""
    with app.test_client(base_url="http://testserver", follow_redirects=False) as client:
        yield client


@pytest.fixture
def client(app: FlaskApp, running_client: TestClient) -> TestClient:
    """A client of the application with an empty database."""
    empty(app)
    return running_client


@pytest.fixture
def make_user(client: TestClient) -> Callable[..., dict[str, Any]]:
    """Creates a user through the API and returns its data; emails are unique by default."""
    numbers = count(1)

    def make(**differences: Any) -> dict[str, Any]:
        user = {"username": "michael", "email": f"michael{next(numbers)}@example.org"} | differences
        active = user.pop("active", True)
        made = client.post("/users", json=user).json()["data"]
        return made if active else client.patch(f"/users/{made['id']}", json={"active": False}).json()["data"]

    return make


@pytest.fixture(scope="session")
def server(
    backend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The production server with two workers and a separate database."""
    if backend == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('server')}/server.db"
    else:
        url = request.getfixturevalue("postgres").create("users_server")
    with service(url) as running:
        yield running


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root directory."""
    return Path(__file__).parent.parent
