"""The real server with two workers under simultaneous requests."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from threading import Barrier, Event
from typing import Any, NamedTuple, Self

import pytest

from tests.server import Service

USERS = 10_000
PAGE = 500
WALKS = 3
WRITES = 10


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: Any


class Caller:
    """One connection to the server, kept alive until its `with` ends."""

    def __init__(self, server: Service) -> None:
        self.connection = HTTPConnection("127.0.0.1", server.port, timeout=60)

    def __enter__(self) -> Self:
        self.connection.connect()
        return self

    def __exit__(self, *_error: object) -> None:
        self.connection.close()

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request and return its answer."""
        content = None if body is None else json.dumps(body)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if content:
            sent["Content-Type"] = "application/json"
        self.connection.request(method, path, content, sent)
        response = self.connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), json.loads(response.read()))


@pytest.fixture
def call(server: Service) -> Iterator[Caller]:
    """Sends a request to the real server."""
    with Caller(server) as caller:
        yield caller


def at_once(server: Service, times: int, send: Callable[[Caller, int], Answer]) -> list[Answer]:
    """Send so many requests at the same moment, each on a connection of its own."""
    together = Barrier(times)

    def one(number: int) -> Answer:
        with Caller(server) as caller:
            together.wait()
            return send(caller, number)

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


def test_of_many_simultaneous_users_with_one_address_one_is_added(server: Service) -> None:
    answers = at_once(
        server, 200, lambda call, number: call("POST", "/users", {"username": str(number), "email": "rush@example.org"})
    )

    assert Counter(answer.status for answer in answers) == {201: 1, 400: 199}
    refusals = [answer.body for answer in answers if answer.status == 400]
    assert refusals == [{"status": "fail", "message": "Sorry. That email already exists."}] * 199


def test_of_two_changes_of_one_version_one_is_made(server: Service, call: Caller) -> None:
    made = call("POST", "/users", {"username": "ada", "email": "two@example.org"})
    path, etag = made.headers["location"], made.headers["etag"]

    for turn in range(20):
        answers = at_once(
            server,
            2,
            lambda call, number: call("PUT", path, {"username": f"{turn}-{number}", "email": "two@example.org"}, If_Match=etag),  # noqa: B023 -- used within its turn.
        )

        assert sorted(answer.status for answer in answers) == [200, 412]
        winner = next(answer for answer in answers if answer.status == 200)
        assert call("GET", path).body["data"] == winner.body["data"]
        etag = winner.headers["etag"]


def test_any_version_may_be_changed_by_many(server: Service, call: Caller) -> None:
    path = call("POST", "/users", {"username": "ada", "email": "any@example.org"}).headers["location"]

    answers = at_once(server, 50, lambda call, number: call("PATCH", path, {"username": str(number)}, If_Match="*"))

    assert {answer.status for answer in answers} == {200}


def test_the_last_of_many_writers_wins_whole(server: Service, call: Caller) -> None:
    path = call("POST", "/users", {"username": "ada", "email": "whole@example.org"}).headers["location"]

    answers = at_once(
        server,
        50,
        lambda call, number: call("PUT", path, {"username": str(number), "email": f"whole{number}@example.org"}),
    )

    assert {answer.status for answer in answers} == {200}
    last = call("GET", path)
    assert last.headers["etag"].startswith('"51-')
    assert last.body["data"]["email"] == f"whole{last.body['data']['username']}@example.org"


@pytest.fixture
def seeded(server: Service) -> Iterator[Caller]:
    """Sends a request to the real server, which has many users; it connects only then, for an idle connection is soon closed."""
    server.command("seed_db", "--count", str(USERS))
    with Caller(server) as caller:
        yield caller


def test_pages_neither_repeat_nor_miss_a_user_while_others_write(server: Service, seeded: Caller) -> None:
    there_before = every_id(seeded)
    doomed = set(there_before[:: USERS // 5])
    kept = set(there_before) - doomed
    guests: list[str] = []
    walks: list[list[int]] = []
    done = Event()

    def write() -> None:
        with Caller(server) as caller:
            while not done.is_set():
                guests.append(f"guest{len(guests)}@example.org")
                assert caller("POST", "/users", {"username": "guest", "email": guests[-1]}).status == 201
                if doomed:
                    assert caller("DELETE", f"/users/{doomed.pop()}").status == 200

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        try:
            while not writer.done() and (len(walks) < WALKS or len(guests) <= WRITES):
                walks.append(every_id(seeded))
        finally:
            done.set()

    writer.result()
    for walk in walks:
        assert len(walk) == len(set(walk))
        assert kept <= set(walk)


def every_id(call: Caller) -> list[int]:
    """Return the ids of all users, page by page."""
    ids, link = [], f"/users?limit={PAGE}"
    while link:
        page = call("GET", link).body["data"]
        ids += [user["id"] for user in page["users"]]
        link = page["next"]
    return ids
