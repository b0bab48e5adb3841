"""The operations that are measured: those of the service, and those of the engine's other documents."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask_migrate import upgrade

from tests.performance.costs.shapes import COUNTER, compact
from tests.support.documents import NAMES, load, requests_of, serve
from users_api.app import create_app
from users_api.database import db
from users_api.document import document_path
from users_api.engine import App
from users_api.engine.document import Document, OperationNode
from users_api.engine.media_types import MULTIPART

BODY_LIMIT = 1024**2
SERVICE = "users"
SUCCESS = range(200, 300)
BOUNDARY = "boundary=x"
USER = {"username": "michael", "email": "michael@example.org"}
NEW_USER = USER | {"email": "michael#@example.org"}
SERVICE_REQUESTS: dict[str, tuple[str, Any]] = {
    "ping": ("/ping", None),
    "list_users": ("/users?limit=1&after=0&active=true&username=michael", None),
    "create_user": ("/users", NEW_USER),
    "get_user": ("/users/1", None),
    "update_user": ("/users/1", USER | {"active": True}),
    "patch_user": ("/users/1", {"active": True}),
    "live": ("/health/live", None),
    "ready": ("/health/ready", None),
}


class Request(NamedTuple):
    """A request to an ASGI application."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Subject(NamedTuple):
    """An operation: its application, a valid request, and what its document names in requests."""

    document: str
    operation: str
    app: App
    valid: Request
    places: tuple[str, ...]
    bodies: tuple[Any, ...]
    names: tuple[str, ...]

    def numbered(self, number: int) -> Request:
        """Return the valid request with a number in its body, for what must not be stored twice."""
        return self.valid._replace(body=self.valid.body.replace(COUNTER.encode(), str(number).encode()))

    def request(self, place: str, text: str) -> Request:
        """Return the valid request with the text at a place: media type, query, path, header or headers."""
        path, _, query = self.valid.target.partition("?")
        others = {name.lower(): value for name, value in self.valid.headers}
        if place == "query":
            return self.valid._replace(target=f"{path}?{text}")
        if place == "path":
            return self.valid._replace(target=f"{text}?{query}")
        if place == "headers":
            lines = [line.partition(":") for line in text.splitlines()]
            more = tuple((name.strip().lower(), value.strip()) for name, _, value in lines)
            return self.valid._replace(headers=(*others.items(), *more))
        if "/" not in place:
            return self.valid._replace(headers=tuple((others | {place: text}).items()))
        media_type = f"{place}; {BOUNDARY}" if place == MULTIPART else place
        headers = tuple((others | {"content-type": media_type}).items())
        return self.valid._replace(headers=headers, body=text.encode("utf-8", "surrogatepass"))


@contextmanager
def subjects(folder: Path) -> Iterator[list[Subject]]:
    """Yield the operations of all documents; the service stores its users in an SQLite file in the folder."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("APP_SETTINGS", "users_api.config.DevelopmentConfig")
        environment.setenv("DATABASE_URL", f"sqlite:///{folder}/users.db")
        service = create_app()
    with service.app.app_context():
        upgrade()
    found = list(_of_service(service))
    for name in NAMES:
        found += _of_document(name)
    yield found
    with service.app.app_context():
        db.engine.dispose()


async def call_directly(function: Callable[[], Any]) -> Any:
    """Run a plain handler on the event loop, where its costs are measured too."""
    return function()


def _of_service(app: App) -> Iterator[Subject]:
    document = Document.load(document_path())
    for node in document.operations():
        name = node.operation["operationId"]
        if name in SERVICE_REQUESTS:
            target, value = SERVICE_REQUESTS[name]
            headers = (("content-type", "application/json"),) if value else ()
            body = compact(value).encode() if value else b""
            valid = Request(node.method.upper(), target, headers, body)
            yield _subject(SERVICE, document, app, node, (valid, (value,) if value else ()))


def _of_document(name: str) -> Iterator[Subject]:
    app = serve(name, strict_validation=True, run_plain=call_directly, body_limit=BODY_LIMIT)
    app.build()
    document = load(name)
    sent = list(requests_of(document))
    for node in document.operations():
        examples = sent[: len(node.operation["x-requests"])]
        del sent[: len(examples)]
        if node.method != "delete":  # What is deleted is missing in later requests.
            each = next(each for each in examples if each.status in SUCCESS)
            valid = Request(each.method, each.target, tuple(each.headers.items()), each.body)
            bodies = [parsed for example in examples for parsed in _parsed(example.body)]
            yield _subject(name, document, app, node, (valid, tuple(bodies)))


def _subject(
    name: str, document: Document, app: App, node: OperationNode, examples: tuple[Request, tuple[Any, ...]]
) -> Subject:
    request_body = node.operation.get("requestBody", {})
    content = document.resolve(request_body, node.pointer)[0].get("content", {}) if request_body else {}
    media_types = [media_type.replace("*", "x") for media_type in content]
    headers = [each["name"].lower() for each, _ in node.parameters if each["in"] == "header"]
    places = ["query", "path", "cookie", "headers", "authorization", *headers, *media_types]
    if media_types:
        places.append("content-type")
    operation = f"{node.method.upper()} {node.path}"
    names = sorted(set(_names(document.root)) | {each["name"] for each, _ in node.parameters})
    valid, bodies = examples
    return Subject(name, operation, app, valid, tuple(places), bodies, tuple(names))


def _parsed(body: bytes) -> Iterator[Any]:
    """Yield the value of a JSON body."""
    try:
        yield json.loads(body)
    except ValueError:
        return


def _names(node: Any) -> Iterator[str]:
    """Yield the names of all properties in a document."""
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict):
            yield from node["properties"]
        for value in node.values():
            yield from _names(value)
    elif isinstance(node, list):
        for value in node:
            yield from _names(value)
