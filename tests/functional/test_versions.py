"""Conditional requests, which prevent lost updates."""

from collections.abc import Callable
from typing import Any

import pytest
from connexion import FlaskApp
from sqlalchemy import select, update
from starlette.testclient import TestClient

from users_api.database import rows
from users_api.models import User

MakeUser = Callable[..., dict[str, Any]]

STALE = {"status": "fail", "message": "Precondition failed."}
ADA = {"username": "ada", "email": "ada@example.org"}


@pytest.fixture
def path(make_user: MakeUser) -> str:
    """The path of a user."""
    return f"/users/{make_user()['id']}"


@pytest.fixture
def etag(client: TestClient, path: str) -> str:
    """The entity tag of the user."""
    return client.get(path).headers["ETag"]


def change(client: TestClient, method: str, path: str, if_match: str) -> Any:
    """Send an update with this If-Match header."""
    body = {"json": ADA} if method in {"PUT", "PATCH"} else {}
    return client.request(method, path, headers={"If-Match": if_match}, **body)


@pytest.mark.parametrize("tags", ["{0}", "W/{0}", '"other", {0}', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_known_version_is_not_modified(
    client: TestClient, path: str, etag: str, method: str, tags: str
) -> None:
    response = client.request(method, path, headers={"If-None-Match": tags.format(etag)})

    assert (response.status_code, response.content, response.headers["ETag"]) == (304, b"", etag)
    assert "Content-Type" not in response.headers


def test_a_newer_version_is_returned(client: TestClient, path: str, etag: str) -> None:
    client.patch(path, json={"active": False})

    response = client.get(path, headers={"If-None-Match": etag})

    assert response.status_code == 200
    assert response.headers["ETag"] != etag


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_an_update_returns_the_new_etag(client: TestClient, path: str, etag: str, method: str) -> None:
    response = change(client, method, path, etag)

    assert response.status_code == 200
    assert response.headers["ETag"] == client.get(path).headers["ETag"] != etag


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_version_that_a_restore_has_lost_stays_stale(
    app: FlaskApp, client: TestClient, path: str, method: str
) -> None:
    with app.app.app_context():
        (backup,) = rows(select(User.__table__))
    lost = client.patch(path, json={"username": "lost"}).headers["ETag"]
    with app.app.app_context():
        rows(update(User.__table__), **backup._asdict())
    kept = client.patch(path, json={"username": "kept"}).headers["ETag"]

    response = change(client, method, path, lost)

    assert (response.status_code, response.json()) == (412, STALE)
    assert client.get(path).headers["ETag"] == kept


def test_a_new_user_has_an_unforeseeable_version(client: TestClient, make_user: MakeUser) -> None:
    users = [make_user()["id"] for _ in range(3)]

    versions = {client.get(f"/users/{user}").headers["ETag"].partition("-")[0] for user in users}

    assert len(versions) == 3


@pytest.mark.parametrize("version", [1, 2**31 - 1])
def test_the_version_is_followed_by_another_one(
    app: FlaskApp, client: TestClient, path: str, version: int
) -> None:
    with app.app.app_context():
        rows(update(User.__table__), version=version)
    tag = client.get(path).headers["ETag"]

    response = change(client, "PATCH", path, tag)

    assert response.status_code == 200
    assert response.headers["ETag"] != tag


@pytest.mark.parametrize("tags", ["{0}", '"other", {0}', "*"])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_an_update_of_the_current_version_succeeds(
    client: TestClient, path: str, etag: str, method: str, tags: str
) -> None:
    assert change(client, method, path, tags.format(etag)).status_code == 200


@pytest.mark.parametrize("tags", ["{0}", "W/{0}", '"other"'])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_an_update_of_a_stale_version_is_rejected(
    client: TestClient, path: str, etag: str, method: str, tags: str
) -> None:
    client.patch(path, json={"active": False})
    before = client.get(path).json()

    response = change(client, method, path, tags.format(etag))

    assert (response.status_code, response.json()) == (412, STALE)
    assert client.get(path).json() == before


def test_a_weak_etag_never_matches_an_update(client: TestClient, path: str, etag: str) -> None:
    assert change(client, "PATCH", path, f"W/{etag}").status_code == 412


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_conditional_update_of_a_missing_user_is_not_found(client: TestClient, method: str) -> None:
    response = change(client, method, "/users/999", '"1-1"')

    assert response.status_code == 404


@pytest.mark.parametrize("tags", ["", "1", '"1', '"a" "b"', '"\x7f"', '"' + "a" * 65 + '"'])
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
def test_malformed_etags_are_rejected(client: TestClient, path: str, header: str, tags: str) -> None:
    response = client.request("GET" if header == "If-None-Match" else "DELETE", path, headers={header: tags})

    assert response.status_code == 400
    assert response.json()["message"] == "Invalid parameter."
    assert {error["field"] for error in response.json()["errors"]} == {header}


def test_etags_may_span_several_header_lines(client: TestClient, path: str, etag: str) -> None:
    response = client.get(path, headers=[("If-None-Match", '"other"'), ("If-None-Match", etag)])

    assert response.status_code == 304
