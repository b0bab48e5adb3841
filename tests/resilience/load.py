"""A steady load of writers, each of which keeps account of what was acknowledged, and a witness that the service lives."""

import json
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from itertools import count, pairwise
from threading import Event, Thread
from typing import Any, NamedTuple, Self

import psycopg2

from tests.resilience.account import Balance, Entry, Stored, balance
from tests.waiting import until

WRITERS = 8
PAUSE_SECONDS = 0.02
CALLER_SECONDS = 30
ENOUGH = 5
AWAY = {"status": "error", "message": "The service is unavailable for the moment. Please try again."}


class Answer(NamedTuple):
    """How a request ended; the status is None when the connection did so before an answer."""

    began: float
    ended: float
    method: str
    status: int | None
    body: Any = None
    refused: bool = False


class Caller:
    """One connection to the service, made again when it is lost."""

    def __init__(self, port: int) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=CALLER_SECONDS)

    def __call__(self, method: str, path: str, body: Any = None) -> Answer:
        """Send a request once, and check that a failure is worded as it should be."""
        began = time.monotonic()
        try:
            headers = {"Content-Type": "application/json"} if body else {}
            self.connection.request(method, path, json.dumps(body) if body else None, headers)
            response = self.connection.getresponse()
            text, status = response.read(), response.status
        except (OSError, HTTPException) as failure:
            self.connection.close()
            return Answer(began, time.monotonic(), method, None, refused=isinstance(failure, ConnectionRefusedError))
        if status == 502:  # A proxy's word for a connection that ended without an answer.
            return Answer(began, time.monotonic(), method, None)
        content = json.loads(text)
        if status >= 500:
            assert (status, content, response.headers["Retry-After"]) == (503, AWAY, "1")
        return Answer(began, time.monotonic(), method, status, content)


class Writer(Thread):
    """Adds a user, changes it and removes every third one, again and again."""

    def __init__(self, load: "Load", number: int) -> None:
        super().__init__()
        self.load, self.number = load, number
        self.call = Caller(load.port)
        self.answers: list[Answer] = []
        self.entries: list[Entry] = []
        self.lost: list[str] = []
        self.doubled: list[str] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Go on until the load is over."""
        try:
            for turn in count():
                self.write(turn)
                if self.load.over.is_set():
                    return
        except BaseException as failure:  # noqa: BLE001 -- raised where the load ends.
            self.failure = failure
        finally:
            self.call.connection.close()

    def write(self, turn: int) -> None:
        """Write one user, whom nobody else writes, and never repeat a request."""
        entry = Entry(f"{self.load.name}.{self.number}.{turn}@example.org")
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
                self.doubled.append(f"{entry.email} was gone when it was first deleted")

    def check_found(self, answer: Answer, entry: Entry) -> None:
        """Note a user as lost who is not found."""
        if answer.status == 404:
            self.lost.append(f"{entry.email} was not found")

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """Send a request and keep its answer."""
        self.load.over.wait(PAUSE_SECONDS)
        answer = self.call(method, path, body)
        assert answer.status in {None, 200, 201, 400, 404, 503}, answer
        self.answers.append(answer)
        return answer


class Witness(Thread):
    """Asks all the time whether the service lives, each time on a new connection."""

    def __init__(self, load: "Load") -> None:
        super().__init__()
        self.load = load
        self.answers: list[Answer] = []

    def run(self) -> None:
        """Go on until the load is over."""
        while not self.load.over.wait(5 * PAUSE_SECONDS):
            call = Caller(self.load.port)
            self.answers.append(call("GET", "/health/live"))
            call.connection.close()


class Load:
    """Writers at work for as long as its `with` lasts."""

    def __init__(self, name: str, port: int) -> None:
        """Make the writers for the service on this port; the name makes their users' addresses."""
        self.name, self.port = name, port
        self.over = Event()
        self.began = self.ended = 0.0
        self.fault_ended: float | None = None
        self.writers = [Writer(self, number) for number in range(WRITERS)]
        self.witness = Witness(self)

    def __enter__(self) -> Self:
        """Start, and return once every writer is at work."""
        self.began = time.monotonic()
        for thread in (*self.writers, self.witness):
            thread.start()
        try:
            self.go_on()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_failure: object) -> None:
        """Stop."""
        self.stop()

    def stop(self) -> None:
        """Let every writer end its request, and raise what went wrong in any."""
        self.over.set()
        for thread in (*self.writers, self.witness):
            thread.join()
        self.ended = time.monotonic()
        for writer in self.writers:
            if writer.failure:
                raise writer.failure

    def go_on(self, *, until_seen: Callable[[Answer], bool] | None = None, writers: int = WRITERS) -> None:
        """Return once so many writers have had some more answers of a kind, acknowledged writes if none is named."""
        seen, before = until_seen or is_acknowledged, time.monotonic()

        def enough(writer: Writer) -> bool:
            return sum(answer.began > before and seen(answer) for answer in writer.answers[-200:]) >= ENOUGH

        until(lambda: self.failed() or sum(map(enough, self.writers)) >= writers)
        assert not self.failed()

    def fail(self) -> None:
        """Return once every writer is refused."""
        until(lambda: self.failed() or all(writer.answers and not is_served(writer.answers[-1]) for writer in self.writers))

    def failed(self) -> bool:
        """Return whether a writer has met what must not be."""
        return any(writer.failure for writer in self.writers)

    def recover(self) -> float:
        """Say that the fault is over, and return after how many seconds a write was acknowledged again, once all are."""
        self.fault_ended = time.monotonic()
        self.go_on()
        return min(a.ended for a in self.answers if is_acknowledged(a) and a.began > self.fault_ended) - self.fault_ended

    @property
    def answers(self) -> list[Answer]:
        """All answers so far, in the order of their ends."""
        return sorted((answer for writer in self.writers for answer in writer.answers), key=lambda answer: answer.ended)

    def acknowledged(self) -> int:
        """Return how many writes were acknowledged."""
        return sum(map(is_acknowledged, self.answers))

    def longest_outage(self) -> float:
        """Return the longest time, in seconds, in which no write was acknowledged."""
        ends = [self.began, *(answer.ended for answer in self.answers if is_acknowledged(answer)), self.ended]
        return max(after - before for before, after in pairwise(ends))

    def balance(self, url: str) -> Balance:
        """Compare the account with the database."""
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT email, username, version FROM users WHERE email LIKE %s", [f"{self.name}.%"])
            stored = {email: Stored(*rest) for email, *rest in cursor}
        found = balance((entry for writer in self.writers for entry in writer.entries), stored)
        lost = [text for writer in self.writers for text in writer.lost]
        return Balance(found.lost + lost, found.doubled + [text for writer in self.writers for text in writer.doubled])


def is_acknowledged(answer: Answer) -> bool:
    """Return whether it acknowledges a write."""
    return answer.method != "GET" and answer.status in {200, 201}


def is_served(answer: Answer) -> bool:
    """Return whether the service did what was asked."""
    return answer.status in {200, 201}


def is_refused(answer: Answer) -> bool:
    """Return whether it is the envelope's 503."""
    return answer.status == 503
