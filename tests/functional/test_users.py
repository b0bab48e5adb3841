"""The operations on users: each success and each error, with its exact message."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

MakeUser = Callable[..., dict[str, Any]]

MICHAEL = {"username": "michael", "email": "hermanmu@gmail.com"}
NO_SUCH_USER = {"status": "fail", "message": "User does not exist"}
EMAIL_TAKEN = {"status": "fail", "message": "Sorry. That email already exists."}
REJECTED_BODIES = {
    "nothing": (b"", [{"field": "", "message": "is required"}]),
    "an empty object": (
        b"{}",
        [{"field": "username", "message": "is required"}, {"field": "email", "message": "is required"}],
    ),
    "null": (b"null", [{"field": "", "message": "must be of type object"}]),
    "a list": (b"[]", [{"field": "", "message": "must be of type object"}]),
    "no email": (b'{"username": "michael"}', [{"field": "email", "message": "is required"}]),
    "an empty username": (
        b'{"username": "", "email": "a@example.org"}',
        [{"field": "username", "message": "must have 1 or more characters"}],
    ),
    "a number for a username": (
        b'{"username": 1, "email": "a@example.org"}',
        [{"field": "username", "message": "must be of type string"}],
    ),
    "an ill-formed address": (
        b'{"username": "michael", "email": "michael"}',
        [{"field": "email", "message": "must be a valid email"}],
    ),
    "an unknown property": (
        b'{"username": "michael", "email": "a@example.org", "nickname": "mike"}',
        [{"field": "nickname", "message": "is not a known property"}],
    ),
    "a repeated property": (
        b'{"username": "michael", "email": "a@example.org", "email": "b@example.org"}',
        [{"field": "email", "message": "is given more than once"}],
    ),
}


def test_a_user_is_created(client: TestClient) -> None:
    response = client.post("/users", json=MICHAEL)

    assert response.status_code == 201
    user = response.json()["data"]
    assert response.json() == {"status": "success", "message": "hermanmu@gmail.com was added!", "data": user}
    assert user == {"id": 1, "active": True, "created_date": user["created_date"], **MICHAEL}
    assert response.headers["Location"] == "/users/1"
    read = client.get("/users/1")
    assert (read.json()["data"], read.headers["ETag"]) == (user, response.headers["ETag"])


@pytest.mark.parametrize("rejected", REJECTED_BODIES.values(), ids=REJECTED_BODIES)
def test_an_invalid_user_is_rejected_with_all_errors(
    client: TestClient, rejected: tuple[bytes, list[dict[str, str]]]
) -> None:
    body, errors = rejected

    response = client.post("/users", content=body, headers={"Content-Type": "application/json"})

    assert response.status_code == 400
    assert response.json()["message"] == "Invalid payload."
    assert sorted(response.json()["errors"], key=str) == sorted(errors, key=str)
    assert client.get("/users").json()["data"]["users"] == []


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_an_unknown_property_of_an_update_is_rejected(
    client: TestClient, make_user: MakeUser, method: str
) -> None:
    user = make_user()

    response = client.request(method, f"/users/{user['id']}", json=MICHAEL | {"id": 7})

    assert response.status_code == 400
    assert response.json()["errors"] == [{"field": "id", "message": "is not a known property"}]


def test_an_email_belongs_to_one_user(client: TestClient, make_user: MakeUser) -> None:
    make_user(email="ada@example.org")

    again = client.post("/users", json={"username": "Eve", "email": "ADA@example.org"})

    assert again.status_code == 400
    assert again.json() == EMAIL_TAKEN


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_an_update_to_another_users_email_is_rejected(
    client: TestClient, make_user: MakeUser, method: str
) -> None:
    make_user(email="ada@example.org")
    grace = make_user()

    response = client.request(
        method, f"/users/{grace['id']}", json={"username": "grace", "email": "Ada@example.org"}
    )

    assert (response.status_code, response.json()) == (400, EMAIL_TAKEN)
    assert client.get(f"/users/{grace['id']}").json()["data"] == grace


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_an_update_may_change_the_case_of_the_email(
    client: TestClient, make_user: MakeUser, method: str
) -> None:
    ada = make_user(email="ada@example.org")

    response = client.request(
        method, f"/users/{ada['id']}", json={"username": "ada", "email": "ADA@example.org"}
    )

    assert response.status_code == 200
    assert response.json()["data"] == ada | {"username": "ada", "email": "ADA@example.org"}


def test_a_user_is_returned(client: TestClient, make_user: MakeUser) -> None:
    user = make_user(username="Ω≈ç√ 💡", email="O'Hara+tag@example.org")

    response = client.get(f"/users/{user['id']}")

    assert response.status_code == 200
    assert response.json() == {"status": "success", "data": user}
    assert (user["username"], user["email"]) == ("Ω≈ç√ 💡", "O'Hara+tag@example.org")


def test_put_replaces_a_user(client: TestClient, make_user: MakeUser) -> None:
    user = make_user()

    response = client.put(f"/users/{user['id']}", json=MICHAEL | {"active": False})

    assert response.status_code == 200
    assert response.json() == {
        "status": "success",
        "message": f"{user['id']} was updated!",
        "data": user | MICHAEL | {"active": False},
    }
    assert client.get(f"/users/{user['id']}").json()["data"] == response.json()["data"]


@pytest.mark.parametrize("active", [True, False])
def test_put_without_active_keeps_it(client: TestClient, make_user: MakeUser, *, active: bool) -> None:
    user = make_user(active=active)

    response = client.put(f"/users/{user['id']}", json=MICHAEL)

    assert response.json()["data"] == user | MICHAEL


@pytest.mark.parametrize("change", [{"username": "grace"}, {"email": "grace@example.org"}, {"active": False}])
def test_patch_updates_the_given_properties(
    client: TestClient, make_user: MakeUser, change: dict[str, Any]
) -> None:
    user = make_user()

    response = client.patch(f"/users/{user['id']}", json=change)

    assert response.status_code == 200
    assert response.json() == {
        "status": "success",
        "message": f"{user['id']} was updated!",
        "data": user | change,
    }


def test_an_empty_patch_is_rejected(client: TestClient, make_user: MakeUser) -> None:
    response = client.patch(f"/users/{make_user()['id']}", json={})

    assert response.status_code == 400
    assert response.json()["errors"] == [{"field": "", "message": "must have 1 or more properties"}]


def test_a_user_is_deleted(client: TestClient, make_user: MakeUser) -> None:
    user = make_user(email="ada@example.org")

    response = client.delete(f"/users/{user['id']}")

    assert response.status_code == 200
    assert response.json() == {"status": "success", "message": "ada@example.org was removed!"}
    assert client.get(f"/users/{user['id']}").status_code == 404


def test_ids_are_never_reused(client: TestClient, make_user: MakeUser) -> None:
    first = make_user()
    client.delete(f"/users/{first['id']}")

    second = make_user()

    assert second["id"] > first["id"]


@pytest.mark.parametrize(
    "name",
    [
        "999",
        "blah",
        "0",
        "-1",
        "01",
        "+1",
        "1.0",
        "1e0",
        "99999999999999999999",
        "9" * 5000,
        "%20",
        "1%00",
        "%F0%9F%92%A1",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_a_user_that_does_not_exist_is_not_found(
    client: TestClient, make_user: MakeUser, method: str, name: str
) -> None:
    make_user()

    response = client.request(
        method, f"/users/{name}", json=None if method in {"GET", "HEAD", "DELETE"} else MICHAEL
    )

    assert response.status_code == 404
    assert method == "HEAD" or response.json() == NO_SUCH_USER


@pytest.mark.parametrize("name", ["999", "blah"])
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_the_body_is_validated_before_the_user_is_looked_up(
    client: TestClient, method: str, name: str
) -> None:
    response = client.request(method, f"/users/{name}", json={"nickname": "mike"})

    assert response.status_code == 400
    assert response.json()["message"] == "Invalid payload."
