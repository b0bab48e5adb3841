"""The clients: writers that record acknowledged writes, and a witness that checks liveness."""

import json
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from itertools import count
from threading import Event, Thread
from typing import Any, NamedTuple

from tests.resilience.write_log import Entry

PAUSE_SECONDS = 0.02
CALLER_SECONDS = 30
AWAY = {"status": "error", "message": "The service is unavailable for the moment. Please try again."}


Token = Callable[[], str]
"""Returns an access token for the next request."""


class Answer(NamedTuple):
    """The outcome of a request; the status is None if the connection closed before a response."""

    began: float
    ended: float
    method: str
    status: int | None
    body: Any = None
    failure: BaseException | None = None
    tag: str | None = None

    @property
    def refused(self) -> bool:
        """Whether the connection was refused."""
        return isinstance(self.failure, ConnectionRefusedError)


class Caller:
    """One connection to the service, reopened after it is lost; each request has a token if there are any."""

    def __init__(self, port: int, token: Token | None = None) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=CALLER_SECONDS)
        self.token = token

    def __call__(self, method: str, path: str, body: Any = None, *, if_match: str | None = None) -> Answer:
        """Send a request once, and check the body of errors."""
        began = time.monotonic()
        try:
            headers = {"Content-Type": "application/json"} if body else {}
            headers |= {"If-Match": if_match} if if_match else {}
            headers |= {"Authorization": f"Bearer {self.token()}"} if self.token else {}
            self.connection.request(method, path, json.dumps(body) if body else None, headers)
            response = self.connection.getresponse()
            text, status = response.read(), response.status
        except (OSError, HTTPException) as failure:
            self.connection.close()
            return Answer(began, time.monotonic(), method, None, failure=failure)
        if status == 502:  # A proxy returns it for a connection that closed without a response.
            return Answer(began, time.monotonic(), method, None)
        content = json.loads(text)
        if status >= 500:
            assert (status, content, response.headers["Retry-After"]) == (503, AWAY, "1")
        return Answer(began, time.monotonic(), method, status, content, tag=response.headers["ETag"])


class Writer(Thread):
    """Repeatedly adds a user, changes it, and deletes every third one."""

    def __init__(self, port: int, name: str, over: Event, token: Token | None = None) -> None:
        super().__init__()
        self.name, self.over = name, over
        self.call = Caller(port, token)
        self.answers: list[Answer] = []
        self.entries: list[Entry] = []
        self.lost: list[str] = []
        self.doubled: list[str] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Write until the load ends."""
        try:
            for turn in count():
                self.write(turn)
                if self.over.is_set():
                    return
        except BaseException as failure:  # noqa: BLE001 -- raised when the load ends.
            self.failure = failure
        finally:
            self.call.connection.close()

    def write(self, turn: int) -> None:
        """Write one user that no other client writes, without repeating a request."""
        entry = Entry(f"{self.name}.{turn}@example.org")
        made = self.ask("POST", "/users", {"username": "new", "email": entry.email})
        self.entries.append(entry)
        if made.status != 201:
            if made.status == 400:
                self.doubled.append(f"{entry.email} existed when it was first sent")
            return
        entry.created = True
        path = f"/users/{made.body['data']['id']}"
        for name in ("changed", "changed again"):
            answer = self.ask("PATCH", path, {"username": name})
            self.check_found(answer, entry)
            entry.changed(name, acknowledged=answer.status == 200)
        self.check_found(self.ask("GET", path), entry)
        if not turn % 3:
            removed = self.ask("DELETE", path)
            entry.deleted = True if removed.status == 200 else None
            if removed.status == 404:
                self.doubled.append(f"{entry.email} did not exist when it was first deleted")

    def check_found(self, answer: Answer, entry: Entry) -> None:
        """Record a user that is not found as lost."""
        if answer.status == 404:
            self.lost.append(f"{entry.email} was not found")

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """Send a request and record its response."""
        self.over.wait(PAUSE_SECONDS)
        answer = self.call(method, path, body)
        assert answer.status in {None, 200, 201, 400, 404, 503}, answer
        self.answers.append(answer)
        return answer


class Witness(Thread):
    """Continuously checks liveness, or sends another request, each time on a new connection."""

    def __init__(self, port: int, over: Event, path: str = "/health/live") -> None:
        super().__init__()
        self.port, self.over, self.path = port, over, path
        self.answers: list[Answer] = []

    def run(self) -> None:
        """Check until the load ends."""
        while not self.over.wait(5 * PAUSE_SECONDS):
            call = Caller(self.port)
            self.answers.append(call("GET", self.path))
            call.connection.close()


def is_acknowledged(answer: Answer) -> bool:
    """Return whether the response acknowledges a write."""
    return answer.method != "GET" and answer.status in {200, 201}


def is_served(answer: Answer) -> bool:
    """Return whether the request succeeded."""
    return answer.status in {200, 201}


def is_refused(answer: Answer) -> bool:
    """Return whether the response is a 503 in the envelope."""
    return answer.status == 503
