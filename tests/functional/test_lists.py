"""Lists of users: order, pagination and filters."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from users_api.document import load_document

MakeUser = Callable[..., dict[str, Any]]

MOMENT = load_document()["components"]["schemas"]["Moment"]["pattern"]
REJECTED_QUERIES = {
    "limit=0": [{"field": "limit", "message": "must be at least 1"}],
    "limit=1001": [{"field": "limit", "message": "must be at most 1000"}],
    "limit=ten": [{"field": "limit", "message": "must be of type integer"}],
    "limit=": [{"field": "limit", "message": "must be of type integer"}],
    "limit=010": [{"field": "limit", "message": "must be of type integer"}],
    "limit=1.0": [{"field": "limit", "message": "must be of type integer"}],
    "after=-1": [{"field": "after", "message": "must be at least 0"}],
    "after=9007199254740992": [{"field": "after", "message": "must be at most 9007199254740991"}],
    f"after={'9' * 5000}": [{"field": "after", "message": "must be of type integer"}],
    "before=-1": [{"field": "before", "message": "must be at least 0"}],
    "before=9007199254740993": [{"field": "before", "message": "must be at most 9007199254740992"}],
    "before=3&after=1": [{"field": "before", "message": "cannot be combined with after"}],
    "order=name": [
        {"field": "order", "message": 'must be one of "id", "-id", "created_date", "-created_date"'}
    ],
    "q=": [{"field": "q", "message": "must have 1 or more characters"}],
    f"q={'a' * 65}": [{"field": "q", "message": "must have 64 or fewer characters"}],
    "q=%00": [{"field": "q", "message": "must match ^[^\\u0000]*$"}],
    "q=a&after=1": [{"field": "key", "message": "is required with after or before in this order"}],
    "q=a&key=b": [{"field": "key", "message": "must be the one in next or prev of this list"}],
    "q=a&key=A": [{"field": "key", "message": "must be the one in next or prev of this list"}],
    "key=": [{"field": "key", "message": "must have 1 or more characters"}],
    "order=created_date&before=1&after=2&key=a": [
        {"field": "before", "message": "cannot be combined with after"},
        {"field": "key", "message": "must be the one in next or prev of this list"},
    ],
    "created_before=2026-01-01T00:00:00Z&key=2026-01-01T00:00:00.000000Z": [
        {"field": "key", "message": "must be the one in next or prev of this list"}
    ],
    "created_after=2026-02-30T00:00:00Z": [
        {"field": "created_after", "message": "must be a valid date-time"}
    ],
    "created_before=2026-11-23T10:59:60Z": [
        {"field": "created_before", "message": f"must match {MOMENT}"},
        {"field": "created_before", "message": "must be a valid date-time"},
    ],
    "q=a&username=b&order=id&created_after=2026-01-01T00:00:00Z": [
        {"field": "username", "message": "cannot be combined with q"},
        {"field": "created_after", "message": "cannot be combined with q"},
        {"field": "order", "message": "cannot be combined with q"},
        {"field": "username", "message": "cannot be combined with created_after"},
        {"field": "order", "message": "must be created_date or -created_date with created_after"},
    ],
    "order=-created_date&username=a": [
        {"field": "username", "message": "cannot be combined with order=-created_date"}
    ],
    "email=ada": [{"field": "email", "message": "must be a valid email"}],
    "username=%00": [{"field": "username", "message": "must match ^[^\\u0000]*$"}],
    "active=yes": [{"field": "active", "message": "must be of type boolean"}],
    "activ=true": [{"field": "activ", "message": "is not a known parameter"}],
    "limit=1&limit=2": [{"field": "limit", "message": "is given more than once"}],
    "username=%FF": [{"field": "", "message": "the query must be percent-encoded UTF-8"}],
    "username=%zz": [{"field": "", "message": "the query must be percent-encoded UTF-8"}],
    "limit=0&activ=true": [
        {"field": "activ", "message": "is not a known parameter"},
        {"field": "limit", "message": "must be at least 1"},
    ],
}


def test_users_are_listed_by_id(client: TestClient, make_user: MakeUser) -> None:
    users = [make_user() for _ in range(3)]

    response = client.get("/users")

    assert response.status_code == 200
    assert response.json() == {"status": "success", "data": {"users": users, "next": None, "prev": None}}
    assert "Link" not in response.headers


def test_a_page_has_100_users_by_default(client: TestClient, make_user: MakeUser) -> None:
    users = [make_user() for _ in range(101)]

    page = client.get("/users").json()["data"]

    assert page == {"users": users[:100], "next": "/users?limit=100&after=100", "prev": None}


def test_next_links_to_the_following_page(client: TestClient, make_user: MakeUser) -> None:
    users = [make_user() for _ in range(5)]

    first = client.get("/users?limit=2")
    second = client.get(first.json()["data"]["next"])
    third = client.get(second.json()["data"]["next"])

    assert [page.json()["data"]["users"] for page in (first, second, third)] == [
        users[:2],
        users[2:4],
        users[4:],
    ]
    assert first.headers["Link"] == '</users?limit=2&after=2>; rel="next"'
    assert second.headers["Link"] == (
        '</users?limit=2&after=4>; rel="next", </users?limit=2&before=3>; rel="prev"'
    )
    assert third.headers["Link"] == '</users?limit=2&before=5>; rel="prev"'
    assert third.json()["data"]["next"] is None


def test_a_full_last_page_has_no_next(client: TestClient, make_user: MakeUser) -> None:
    users = [make_user() for _ in range(2)]

    page = client.get("/users?limit=2").json()["data"]

    assert page == {"users": users, "next": None, "prev": None}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("email=ADA@example.org", [0]),
        ("email=nobody@example.org", []),
        ("username=michael", [1, 2]),
        ("username=Michael", []),
        ("active=false", [2]),
        ("active=true", [0, 1]),
        ("username=michael&active=true", [1]),
        ("username=Ada+%26+%C3%89va", [0]),
        ("after=2", [2]),
    ],
)
def test_filters_are_exact(client: TestClient, make_user: MakeUser, query: str, found: list[int]) -> None:
    users = [
        make_user(username="Ada & Éva", email="ada@example.org"),
        make_user(username="michael"),
        make_user(username="michael", active=False),
    ]

    page = client.get(f"/users?{query}").json()["data"]

    assert page["users"] == [users[number] for number in found]


def test_next_keeps_the_filters(client: TestClient, make_user: MakeUser) -> None:
    users = [make_user(username="Ada & Éva", active=number % 2 == 0) for number in range(6)]

    pages = [
        client.get("/users", params={"username": "Ada & Éva", "active": "true", "limit": "2"}).json()["data"]
    ]
    pages.append(client.get(pages[0]["next"]).json()["data"])

    assert pages[0] == {
        "users": [users[0], users[2]],
        "next": "/users?limit=2&after=3&username=Ada+%26+%C3%89va&active=true",
        "prev": None,
    }
    assert pages[1] == {
        "users": [users[4]],
        "next": None,
        "prev": "/users?limit=2&before=5&username=Ada+%26+%C3%89va&active=true",
    }


@pytest.mark.parametrize("rejected", REJECTED_QUERIES.items(), ids=[query[:24] for query in REJECTED_QUERIES])
def test_an_invalid_query_is_rejected_with_all_errors(
    client: TestClient, rejected: tuple[str, list[dict[str, str]]]
) -> None:
    query, errors = rejected

    response = client.get(f"/users?{query}")

    assert response.status_code == 400
    assert response.json() == {"status": "fail", "message": "Invalid parameter.", "errors": errors}


@pytest.mark.parametrize("path", ["/ping", "/health/live", "/health/ready", "/users/1"])
def test_a_path_without_parameters_rejects_any_query(client: TestClient, path: str) -> None:
    response = client.get(f"{path}?page=1")

    assert response.status_code == 400
    assert response.json()["errors"] == [{"field": "page", "message": "is not a known parameter"}]
