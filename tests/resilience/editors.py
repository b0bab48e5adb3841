"""Clients that change the same users, each time with the entity tag that they saw last, and their record."""

from collections.abc import Iterable, Mapping
from itertools import count
from threading import Event, Thread
from typing import Any, NamedTuple

from tests.resilience.callers import PAUSE_SECONDS, Answer, Caller

ADD_INTERVAL = 3
CREATED, PRECONDITION_FAILED = 201, 412


class Edit(NamedTuple):
    """A change of a user: the tag that the client sent, and status and tag of the response."""

    began: float
    path: str
    username: str
    seen: str
    status: int
    given: str | None


class Editor(Thread):
    """Repeatedly changes one user after another if its entity tag is current, and adds users."""

    def __init__(self, port: int, name: str, over: Event, tags: Mapping[str, str]) -> None:
        super().__init__()
        self.name, self.over, self.tags = name, over, dict(tags)
        self.call = Caller(port)
        self.answers: list[Answer] = []
        self.edits: list[Edit] = []
        self.ids: list[int] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Edit until the test ends."""
        try:
            for turn in count():
                self.edit(turn)
                if self.over.wait(PAUSE_SECONDS):
                    return
        except BaseException as failure:  # noqa: BLE001 -- raised when the editor is joined.
            self.failure = failure
        finally:
            self.call.connection.close()

    def edit(self, turn: int) -> None:
        """Change one user, with a fresh entity tag if the known one is stale; sometimes add another user."""
        path = list(self.tags)[turn % len(self.tags)]
        while self.change(path) == PRECONDITION_FAILED:
            self.tags[path] = self.ask("GET", path).tag or self.tags[path]
        if turn % ADD_INTERVAL == 0:
            user = {"username": "new", "email": f"{self.name}.{turn}@example.org"}
            made = self.ask("POST", "/users", user)
            self.ids += [made.body["data"]["id"]] if made.status == CREATED else []

    def change(self, path: str) -> int | None:
        """Change a user if the known entity tag is current, and return the status."""
        seen, username = self.tags[path], f"{self.name}.{len(self.edits)}"
        answer = self.ask("PATCH", path, {"username": username}, if_match=seen)
        if answer.status:
            self.edits.append(Edit(answer.began, path, username, seen, answer.status, answer.tag))
            self.tags[path] = answer.tag or seen
        return answer.status

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request and record its response."""
        answer = self.call(method, path, body, **headers)
        assert answer.refused or answer.status in {200, 201, 412}, answer
        self.answers.append(answer)
        return answer


def follow(tag: str, changes: Iterable[Edit]) -> list[Edit]:
    """Return the changes of one user that follow each other from this entity tag on."""
    successors = {change.seen: change for change in changes}
    chain = []
    while change := successors.pop(tag, None):
        chain.append(change)
        tag = change.given
    return chain
