"""Searches of users: by the beginning of a name or email, by date, in any order, page by page."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from urllib.parse import urlencode

import pytest
from connexion import FlaskApp
from sqlalchemy import insert
from starlette.testclient import TestClient

from tests.support.emptying import empty
from users_api.database import transaction
from users_api.models import LARGEST_ID, User

MakeUser = Callable[..., dict[str, Any]]

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NAMES = ["ada", "Ada", "ADA", "adam", "ad", "b", "ada%", "a_a", "a\\a", "\u00c9va", "\u00e9va", "\u01c5"]
NAMES += ["\U0010ffff", "\U0010ffffa", "\ud7ff", "\ue000", "ada@example.org", "[a", "K", "\u212a"]
# Each name has an email that begins with it, or with a part of it, or with none.
EMAILS = ["{name}.{number}@example.org", "ADA.{number}@example.org", "b{number}@example.org"]
PREFIXES = [
    "a",
    "A",
    "ad",
    "ADA",
    "ada.",
    "ada%",
    "a_",
    "a\\",
    "%",
    "_",
    "\\",
    "b",
    "zzz",
    "k",
    "\u00c9",
    "\u00e9",
]
PREFIXES += ["\U0010ffff", "\ud7ff", "ada@example.org", "[", "\u01c6", "\u212a"]
ORDERS = ["id", "-id", "created_date", "-created_date"]


def rows() -> Iterator[dict[str, Any]]:
    """Yield users whose names, dates and states depend on each other in no way."""
    for number, (name, email) in enumerate(product(NAMES, EMAILS), start=1):
        beginning = name if name.isascii() and name.isalnum() else "x"
        yield {
            "username": name,
            "email": email.format(name=beginning, number=number),
            "active": number % 3 != 0,
            "created_date": NOON + timedelta(seconds=(number * 7 % 20) // 2),
        }


@pytest.fixture(scope="module")
def listed(app: FlaskApp, running_client: TestClient) -> list[dict[str, Any]]:
    """All stored users, as a list returns them."""
    empty(app)
    with app.app.app_context(), transaction() as connection:
        connection.execute(insert(User.__table__), list(rows()))
    users: list[dict[str, Any]] = running_client.get("/users?limit=1000").json()["data"]["users"]
    return users


def folded(text: str) -> str:
    """Return the text with the ASCII letters in lower case."""
    return "".join(each.lower() if each.isascii() else each for each in text)


def matched(user: dict[str, Any], prefix: str) -> str | None:
    """Return the text that begins with the prefix."""
    texts = map(folded, (user["username"], user["email"]))
    return next((text for text in texts if text.startswith(folded(prefix))), None)


def expected(users: list[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
    """Return what a list with this query has, computed from all users."""
    found = (
        [user for user in users if user["active"] is (query["active"] == "true")]
        if "active" in query
        else users
    )
    found = [user for user in found if user["username"] == query.get("username", user["username"])]
    found = [user for user in found if folded(user["email"]) == folded(query.get("email", user["email"]))]
    if "q" in query:
        found = [user for user in found if matched(user, query["q"]) is not None]
        return sorted(found, key=lambda user: (matched(user, query["q"]), user["id"]))
    found = [user for user in found if user["created_date"] >= query.get("created_after", "")]
    found = [user for user in found if user["created_date"] < query.get("created_before", "9")]
    by_id = query.get("order", "id").endswith("id") and not query.keys() & {"created_after", "created_before"}
    return sorted(
        found,
        key=lambda user: (not by_id and user["created_date"], user["id"]),
        reverse=query.get("order", "").startswith("-"),
    )


def walk(client: TestClient, link: str | None, side: str) -> list[dict[str, Any]]:
    """Return the pages to which the links of this side lead."""
    pages = []
    while link is not None:
        response = client.get(link)
        assert response.status_code == 200, response.json()
        pages.append(response.json()["data"])
        link = pages[-1][side]
    return pages


QUERIES = [{"q": prefix} for prefix in PREFIXES] + [{"order": order} for order in ORDERS]
QUERIES += [
    {"created_after": "2026-11-23T12:00:03.000000Z"},
    {"created_before": "2026-11-23T12:00:03.000000Z"},
    {
        "created_after": "2026-11-23T12:00:02.000000Z",
        "created_before": "2026-11-23T12:00:08.000000Z",
        "order": "-created_date",
    },
    {"created_after": "2026-11-23T12:00:08.000000Z", "created_before": "2026-11-23T12:00:02.000000Z"},
]


QUERIES += [
    {"username": "ada"},
    {"username": "ada", "order": "-id"},
    {"email": "ADA.4@EXAMPLE.org", "order": "-id"},
]


@pytest.mark.parametrize("active", [{}, {"active": "true"}, {"active": "false"}], ids=str)
@pytest.mark.parametrize("query", QUERIES, ids=str)
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_next_and_prev_lead_through_exactly_the_matching_users(
    running_client: TestClient,
    listed: list[dict[str, Any]],
    query: dict[str, str],
    active: dict[str, str],
    limit: int,
) -> None:
    wanted = expected(listed, query | active)

    there = walk(running_client, f"/users?{urlencode({'limit': limit, **query, **active})}", "next")
    last = there[-1]["prev"]
    back = walk(running_client, last, "prev")

    assert [user for page in there for user in page["users"]] == wanted
    assert [page["users"] for page in back[::-1]] == [page["users"] for page in there[:-1]]
    assert there[0]["prev"] is None
    assert [page["next"] for page in back[::-1]] == [page["next"] for page in there[:-1]]
    assert [page["prev"] for page in back[::-1]] == [page["prev"] for page in there[:-1]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("created_after=2026-11-23T12:00:00.000001Z", [1, 2]),
        ("created_after=2026-11-23T12:00:00.0000%2B00:00", [0, 1, 2]),
        ("created_after=2026-11-23T13:00:01%2B01:00", [1, 2]),
        ("created_after=2026-11-24T11:59:01%2B23:59", [1, 2]),
        ("created_before=2026-11-23T12:00:01Z", [0]),
        ("created_before=2026-11-23T12:00:01.000001Z", [0, 1]),
        ("created_before=2026-11-23T10:30:01-01:30", [0]),
        ("created_after=1000-01-01T00:00:00Z&created_before=2999-12-31T23:59:59Z", [0, 1, 2]),
    ],
)
def test_the_first_moment_is_included_and_the_last_is_not(
    app: FlaskApp, client: TestClient, query: str, found: list[int]
) -> None:
    store(app, [NOON + timedelta(seconds=number) for number in range(3)])

    page = client.get(f"/users?{query}").json()["data"]

    assert [int(user["username"]) for user in page["users"]] == found


def store(app: FlaskApp, dates: list[datetime]) -> None:
    """Add users with these dates, whose names are numbers."""
    users = [
        {"username": str(number), "email": f"{number}@example.org", "created_date": date}
        for number, date in enumerate(dates)
    ]
    with app.app.app_context(), transaction() as connection:
        connection.execute(insert(User.__table__), users)


LISTS = ["order=id", "order=-id", "order=created_date", "order=-created_date", "q=m", "username=michael"]


@pytest.mark.parametrize("query", LISTS)
def test_deleted_users_change_no_place(client: TestClient, make_user: MakeUser, query: str) -> None:
    for _ in range(6):
        make_user()
    first = client.get(f"/users?limit=2&{query}").json()["data"]
    whole = client.get(f"/users?{query}").json()["data"]["users"]
    second = client.get(first["next"]).json()["data"]
    for user in (whole[1], whole[2]):
        client.delete(f"/users/{user['id']}")

    following = client.get(first["next"]).json()["data"]
    previous = client.get(second["prev"]).json()["data"]

    assert following["users"] == whole[3:5]
    assert client.get(following["prev"]).json()["data"]["users"] == previous["users"] == whole[:1]
    assert previous["prev"] is None
    assert client.get(previous["next"]).json()["data"]["users"] == whole[3:5]


@pytest.mark.parametrize("query", LISTS)
def test_the_links_of_an_empty_page_lead_to_the_nearest_users(
    client: TestClient, make_user: MakeUser, query: str
) -> None:
    for _ in range(5):
        make_user()
    *others, last = walk(client, f"/users?limit=2&{query}", "next")
    to_last, to_first = others[-1]["next"], client.get(others[0]["next"]).json()["data"]["prev"]
    for user in last["users"]:
        client.delete(f"/users/{user['id']}")

    behind = client.get(to_last).json()["data"]
    for user in others[0]["users"]:
        client.delete(f"/users/{user['id']}")
    before = client.get(to_first).json()["data"]

    assert (behind["users"], behind["next"]) == ([], None)
    assert client.get(behind["prev"]).json()["data"]["users"] == others[-1]["users"]
    assert (before["users"], before["prev"]) == ([], None)
    assert client.get(before["next"]).json()["data"]["users"] == others[-1]["users"]


@pytest.mark.parametrize("query", LISTS)
def test_an_empty_list_has_no_links(client: TestClient, query: str) -> None:
    response = client.get(f"/users?{query}")

    assert response.json()["data"] == {"users": [], "next": None, "prev": None}
    assert "Link" not in response.headers


def test_the_largest_id_has_a_previous_page(app: FlaskApp, client: TestClient) -> None:
    user = {"id": LARGEST_ID, "username": "ada", "email": "ada@example.org"}
    with app.app.app_context(), transaction() as connection:
        connection.execute(insert(User.__table__), [user])

    behind = client.get(f"/users?after={LARGEST_ID}").json()["data"]

    assert behind == {"users": [], "next": None, "prev": f"/users?limit=100&before={LARGEST_ID + 1}"}
    assert [each["id"] for each in client.get(behind["prev"]).json()["data"]["users"]] == [LARGEST_ID]
