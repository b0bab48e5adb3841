"""What a handler may return and raise: responses use the envelope, and a failed handler stores nothing."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import connexion
import flask
import pytest
from connexion import NoContent
from flask import abort, jsonify
from sqlalchemy import select
from starlette.testclient import TestClient

from users_api import app as service
from users_api import handlers
from users_api.database import db, rows
from users_api.engine.calls import in_thread
from users_api.handlers.users import ADD
from users_api.models import User

SENT = {"status": "success", "message": "sent by a handler"}
FAULT = {"status": "error", "message": "Something went wrong on our side."}
GONE = "The group was dissolved."
JSON = {"200": {"description": "Sent.", "content": {"application/json": {"schema": {"type": "object"}}}}}

Serve = Callable[[Callable[..., Any]], Any]


@pytest.fixture
def serve(
    client: TestClient, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Serve]:
    """Serves one function at `POST /` of its own document, on the common database, and sends a request."""
    assert client.get("/users").json()["data"]["users"] == []
    monkeypatch.setenv("APP_SETTINGS", "users_api.config.TestingConfig")
    monkeypatch.setenv("DATABASE_TEST_URL", database_url)
    document = tmp_path / "openapi.json"

    def serve(function: Callable[..., Any]) -> Any:
        operation = {
            "operationId": "handle",
            "responses": JSON | {"201": JSON["200"], "204": {"description": "Nothing."}},
        }
        paths = {"/handled": {"post": operation}}
        document.write_text(
            json.dumps({"openapi": "3.0.3", "info": {"title": "Trial", "version": "1"}, "paths": paths}),
        )
        monkeypatch.setattr(handlers, "handle", function, raising=False)
        monkeypatch.setattr("users_api.document.document_path", lambda: document)
        with service.create_app().test_client(base_url="http://testserver") as trial:
            return trial.post("/handled")

    yield serve
    assert client.get("/users").json()["data"]["users"] == []


def cases(table: dict[str, tuple[Any, ...]]) -> list[Any]:
    """Return the rows of a table as parameters, by their names."""
    return [pytest.param(*row, id=name) for name, row in table.items()]


RETURNED = {
    "a dict": (lambda: SENT, 200, SENT),
    "a body and a status": (lambda: (SENT, 201), 201, SENT),
    "a body, a status and headers": (lambda: (SENT, 201, {"X-Group": "chess"}), 201, SENT),
    "jsonify": (lambda: jsonify(SENT), 200, SENT),
    "jsonify and a status": (lambda: (jsonify(SENT), 201), 201, SENT),
    "a response of Flask's": (lambda: flask.make_response(SENT), 200, SENT),
    "a dict, in a thread": (in_thread(lambda: SENT), 200, SENT),
    "None": (lambda: None, 204, None),
    "NoContent": (lambda: NoContent, 204, None),
    "None and a status": (lambda: (None, 204), 204, None),
}


@pytest.mark.parametrize(("function", "status", "sent"), cases(RETURNED))
def test_a_handler_returns_what_connexion_documents(
    serve: Serve, function: Callable[..., Any], status: int, sent: dict[str, Any] | None
) -> None:
    answer = serve(function)

    assert (answer.status_code, answer.json() if answer.content else None) == (status, sent)


FAILED = {
    "abort": (lambda: abort(410, GONE), 410, GONE),
    "first_or_404": (lambda: db.first_or_404(select(User), description=GONE), 404, GONE),
    "get_or_404": (lambda: db.get_or_404(User, 1, description=GONE), 404, GONE),
    "problem": (lambda: connexion.problem(409, "Conflict", GONE), 409, GONE),
    "problem without detail": (lambda: connexion.problem(409, "Conflict", None), 409, "Conflict"),
}


@pytest.mark.parametrize(("function", "status", "message"), cases(FAILED))
def test_a_failure_of_a_librarys_kind_is_in_the_envelope(
    serve: Serve, function: Callable[..., Any], status: int, message: str
) -> None:
    answer = serve(function)

    assert (answer.status_code, answer.json()) == (status, {"status": "fail", "message": message})
    assert answer.headers["Content-Type"] == "application/json"


def store(email: str = "ada@example.org") -> None:
    """Write through the session, without a commit."""
    db.session.add(User(username="ada", email=email))
    db.session.flush()


def fail_at_the_second_write() -> Any:
    store()
    store(email="ADA@example.org")


def fail_after_a_single_statement() -> Any:
    store()
    rows(ADD, username="eve", email="eve@example.org")
    raise LookupError


def stored(returned: Any) -> Callable[[], Any]:
    """Return a handler that writes without a commit, and returns this."""

    def handle() -> Any:
        store()
        return returned

    return handle


TAKEN = {"status": "fail", "message": "Sorry. That email already exists."}
NOT_COMMITTED = {
    "the second write fails": (fail_at_the_second_write, 400, TAKEN),
    "it raises after a single statement": (fail_after_a_single_statement, 500, FAULT),
    "its value is not JSON": (stored({"user": object()}), 500, FAULT),
    "its tuple is too long": (stored((SENT, 200, {}, "surplus")), 500, FAULT),
    "it aborts": (lambda: abort(503, store()), 503, FAULT),
    "it returns a problem": (
        stored(connexion.problem(409, "Conflict", GONE)),
        409,
        {"status": "fail", "message": GONE},
    ),
    "it ends without a commit": (stored(SENT), 200, SENT),
}


@pytest.mark.parametrize(("function", "status", "sent"), cases(NOT_COMMITTED))
def test_what_is_not_committed_is_not_stored(
    serve: Serve, function: Callable[..., Any], status: int, sent: dict[str, Any]
) -> None:
    answer = serve(function)

    assert (answer.status_code, answer.json()) == (status, sent)
