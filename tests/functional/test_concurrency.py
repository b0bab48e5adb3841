"""Concurrent requests to a server with two workers."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from threading import Barrier, Event
from typing import Any, NamedTuple, Self

import pytest

from tests.support.service import Service

USERS = 10_000
PAGE = 500
WALKS = 3
WRITES = 10


class Response(NamedTuple):
    """The parts of a response that the tests compare."""

    status: int
    headers: dict[str, str]
    body: Any


class Client:
    """A context manager for a persistent connection to the server."""

    def __init__(self, server: Service) -> None:
        self.connection = HTTPConnection("127.0.0.1", server.port, timeout=60)

    def __enter__(self) -> Self:
        self.connection.connect()
        return self

    def __exit__(self, *_error: object) -> None:
        self.connection.close()

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Response:
        """Send a request and return its response."""
        content = None if body is None else json.dumps(body)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if content:
            sent["Content-Type"] = "application/json"
        self.connection.request(method, path, content, sent)
        response = self.connection.getresponse()
        return Response(response.status, dict(response.getheaders()), json.loads(response.read()))


@pytest.fixture
def call(server: Service) -> Iterator[Client]:
    """Sends a request to the server."""
    with Client(server) as client:
        yield client


def at_once(server: Service, times: int, send: Callable[[Client, int], Response]) -> list[Response]:
    """Send this many requests simultaneously, each on a separate connection."""
    together = Barrier(times)

    def one(number: int) -> Response:
        with Client(server) as client:
            together.wait()
            return send(client, number)

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


def test_concurrent_requests_with_the_same_email_add_one_user(server: Service) -> None:
    responses = at_once(
        server,
        200,
        lambda call, number: call("POST", "/users", {"username": str(number), "email": "rush@example.org"}),
    )

    assert Counter(response.status for response in responses) == {201: 1, 400: 199}
    rejections = [response.body for response in responses if response.status == 400]
    assert rejections == [{"status": "fail", "message": "Sorry. That email already exists."}] * 199


def test_one_of_two_concurrent_updates_of_a_version_succeeds(server: Service, call: Client) -> None:
    made = call("POST", "/users", {"username": "ada", "email": "two@example.org"})
    path, etag = made.headers["location"], made.headers["etag"]

    for turn in range(20):
        users = [{"username": f"{turn}-{number}", "email": "two@example.org"} for number in range(2)]
        responses = at_once(
            server,
            2,
            lambda call, number: call("PUT", path, users[number], If_Match=etag),  # noqa: B023 -- called at once.
        )

        assert sorted(response.status for response in responses) == [200, 412]
        winner = next(response for response in responses if response.status == 200)
        assert call("GET", path).body["data"] == winner.body["data"]
        etag = winner.headers["etag"]


def test_concurrent_updates_of_any_version_succeed(server: Service, call: Client) -> None:
    path = call("POST", "/users", {"username": "ada", "email": "any@example.org"}).headers["location"]

    responses = at_once(
        server, 50, lambda call, number: call("PATCH", path, {"username": str(number)}, If_Match="*")
    )

    assert {response.status for response in responses} == {200}


def test_concurrent_updates_do_not_mix_properties(server: Service, call: Client) -> None:
    path = call("POST", "/users", {"username": "ada", "email": "whole@example.org"}).headers["location"]

    responses = at_once(
        server,
        50,
        lambda call, number: call(
            "PUT", path, {"username": str(number), "email": f"whole{number}@example.org"}
        ),
    )

    assert {response.status for response in responses} == {200}
    last = call("GET", path)
    versions = {response.headers["etag"] for response in responses}
    assert len(versions) == 50
    assert last.headers["etag"] in versions
    assert last.body["data"]["email"] == f"whole{last.body['data']['username']}@example.org"


@pytest.fixture
def seeded(server: Service) -> Iterator[Client]:
    """Sends a request to the server after adding many users; it connects last, before the idle timeout."""
    server.command("seed_db", "--count", str(USERS))
    with Client(server) as client:
        yield client


def test_pages_neither_repeat_nor_miss_users_during_writes(server: Service, seeded: Client) -> None:
    there_before = every_id(seeded)
    doomed = set(there_before[:: USERS // 5])
    kept = set(there_before) - doomed
    guests: list[str] = []
    walks: list[list[int]] = []
    done = Event()

    def write() -> None:
        with Client(server) as client:
            while not done.is_set():
                guests.append(f"guest{len(guests)}@example.org")
                assert client("POST", "/users", {"username": "guest", "email": guests[-1]}).status == 201
                if doomed:
                    assert client("DELETE", f"/users/{doomed.pop()}").status == 200

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


def every_id(call: Client) -> list[int]:
    """Return the ids of all users, page by page."""
    ids, link = [], f"/users?limit={PAGE}"
    while link:
        page = call("GET", link).body["data"]
        ids += [user["id"] for user in page["users"]]
        link = page["next"]
    return ids
