"""The production server with and without access tokens; tests that need only one of them select it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.secured import Credentials, add_client, settings
from tests.support.service import Service, service

SCOPES = ("users:read", "users:write")


@pytest.fixture(scope="session", params=["none", "required"])
def auth(request: pytest.FixtureRequest) -> str:
    """The value of AUTH, as a parameter of each test that uses the server."""
    return request.param


@pytest.fixture(scope="session")
def server(
    auth: str, backend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The production server with two workers and a separate database."""
    if backend == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('server')}/server.db"
    else:
        url = request.getfixturevalue("postgres").create(f"users_sdk_{auth}")
    with service(url, **settings(auth)) as running:
        yield running


@pytest.fixture(scope="session")
def credentials(auth: str, server: Service) -> Credentials | None:
    """The id and secret of a client that may read and change users; None without access tokens."""
    return add_client(server, *SCOPES) if auth == "required" else None


@pytest.fixture(scope="session")
def environment(server: Service, credentials: Credentials | None) -> dict[str, str]:
    """The environment variables of programs that use the server."""
    own = {"CLIENT_ID": credentials.client_id, "CLIENT_SECRET": credentials.secret} if credentials else {}
    return {"USERS_API": server.url, **own}


@pytest.fixture
def package(root: Path) -> Path:
    """The directory of the Python client's package."""
    return root / "build" / "sdk" / "python"
