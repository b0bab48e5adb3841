"""Conditional requests: nobody's update is lost silently."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

MakeUser = Callable[..., dict[str, Any]]

STALE = {"status": "fail", "message": "Precondition failed."}
ADA = {"username": "ada", "email": "ada@example.org"}


@pytest.fixture
def path(make_user: MakeUser) -> str:
    """The path of a user."""
    return f"/users/{make_user()['id']}"


@pytest.fixture
def etag(client: TestClient, path: str) -> str:
    """The entity tag of that user's version."""
    return client.get(path).headers["ETag"]


def change(client: TestClient, method: str, path: str, if_match: str) -> Any:
    """Send a change that goes on only from the version named."""
    body = {"json": ADA} if method in {"PUT", "PATCH"} else {}
    return client.request(method, path, headers={"If-Match": if_match}, **body)


@pytest.mark.parametrize("tags", ["{0}", "W/{0}", '"other", {0}', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_known_version_is_not_sent_again(client: TestClient, path: str, etag: str, method: str, tags: str) -> None:
    answer = client.request(method, path, headers={"If-None-Match": tags.format(etag)})

    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)
    assert "Content-Type" not in answer.headers


def test_a_newer_version_is_sent(client: TestClient, path: str, etag: str) -> None:
    client.patch(path, json={"active": False})

    answer = client.get(path, headers={"If-None-Match": etag})

    assert answer.status_code == 200
    assert answer.headers["ETag"] != etag


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_change_gives_the_new_version(client: TestClient, path: str, etag: str, method: str) -> None:
    answer = change(client, method, path, etag)

    assert answer.status_code == 200
    assert answer.headers["ETag"] == client.get(path).headers["ETag"] != etag


@pytest.mark.parametrize("tags", ["{0}", '"other", {0}', "*"])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_change_of_the_version_seen_goes_on(client: TestClient, path: str, etag: str, method: str, tags: str) -> None:
    assert change(client, method, path, tags.format(etag)).status_code == 200


@pytest.mark.parametrize("tags", ["{0}", "W/{0}", '"other"'])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_change_of_a_stale_version_is_refused(client: TestClient, path: str, etag: str, method: str, tags: str) -> None:
    client.patch(path, json={"active": False})
    before = client.get(path).json()

    answer = change(client, method, path, tags.format(etag))

    assert (answer.status_code, answer.json()) == (412, STALE)
    assert client.get(path).json() == before


def test_a_weak_tag_never_matches_a_change(client: TestClient, path: str, etag: str) -> None:
    assert change(client, "PATCH", path, f"W/{etag}").status_code == 412


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_user_that_does_not_exist_has_no_version(client: TestClient, method: str) -> None:
    answer = change(client, method, "/users/999", '"1-1"')

    assert answer.status_code == 404


@pytest.mark.parametrize("tags", ["", "1", '"1', '"a" "b"', '"\x7f"', '"' + "a" * 65 + '"'])
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
def test_ill_formed_tags_are_refused(client: TestClient, path: str, header: str, tags: str) -> None:
    answer = client.request("GET" if header == "If-None-Match" else "DELETE", path, headers={header: tags})

    assert answer.status_code == 400
    assert answer.json()["message"] == "Invalid parameter."
    assert {error["field"] for error in answer.json()["errors"]} == {header}


def test_tags_may_come_in_several_lines(client: TestClient, path: str, etag: str) -> None:
    answer = client.get(path, headers=[("If-None-Match", '"other"'), ("If-None-Match", etag)])

    assert answer.status_code == 304
