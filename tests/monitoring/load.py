"""A load that records which requests were answered, and when."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from threading import Event
from typing import NamedTuple

import httpx

CLIENTS = 8
ENOUGH = 25


class Answer(NamedTuple):
    """A response: its operation, and when it was requested and received."""

    operation: str
    began: float
    ended: float


class Load:
    """Clients that each add users and read them, one request after another."""

    def __init__(self, url: str) -> None:
        """Send requests to this address."""
        self.url, self.over, self.sent = url, Event(), count()
        self.answers: list[Answer] = []

    def run(self, number: int) -> None:
        """Send requests until the load is over; one that fails because a worker was killed counts as sent."""
        with httpx.Client(base_url=self.url, timeout=30) as client:
            for turn in count():
                if self.over.is_set():
                    return
                user = {"username": "ada", "email": f"{number}.{turn}@example.org"}
                self.ask(client, "create_user", "POST", "/users", user)
                self.ask(client, "list_users", "GET", "/users?limit=1")

    def ask(self, client: httpx.Client, operation: str, method: str, path: str, body: object = None) -> None:
        """Send a request, and record its response."""
        next(self.sent)
        began = time.monotonic()
        try:
            answer = client.request(method, path, json=body)
        except httpx.TransportError:
            return
        assert answer.is_success, answer.text
        self.answers.append(Answer(operation, began, time.monotonic()))

    def has_gone_on(self, since: float) -> bool:
        """Return whether there have been enough responses since a time."""
        return sum(answer.began > since for answer in self.answers[-10 * ENOUGH :]) >= ENOUGH


@contextmanager
def load(url: str) -> Iterator[Load]:
    """Send requests meanwhile; an unexpected response is raised at the end."""
    load = Load(url)
    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(load.run, number) for number in range(CLIENTS)]
        try:
            yield load
        finally:
            load.over.set()
        assert [each.result() for each in running] == [None] * CLIENTS
