"""Adapts Schemathesis to the service: email addresses are unique, and every response is an envelope."""

import os
from itertools import count
from typing import Any

import schemathesis
from hypothesis import strategies as st
from jsonschema_rs import Draft4Validator
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.generation.stateful.state_machine import APIStateMachine
from schemathesis.openapi.checks import RejectedPositiveData
from schemathesis.schemas import BaseSchema

from tests.support.emptying import empty
from users_api.app import create_app
from users_api.document import load_document

TAKEN = {"status": "fail", "message": "Sorry. That email already exists."}
SCHEMAS = load_document()["components"]["schemas"]
ADDRESS = Draft4Validator(SCHEMAS["Email"], validate_formats=True)
ENTITY_TAGS = Draft4Validator(SCHEMAS["EntityTags"])
OUTCOMES = {2: "success", 4: "fail", 5: "error"}
KEYS = {
    "success": {"status", "message", "data"},
    "fail": {"status", "message", "errors"},
    "error": {"status", "message"},
}

app = create_app()
numbers = count(1)
seen: set[str] = set()
etags: dict[str, str] = {}

schemathesis.openapi.format("entity-tags", st.from_regex(SCHEMAS["EntityTags"]["pattern"], fullmatch=True))


@schemathesis.hook
def before_load_schema(_context: HookContext, document: dict[str, Any]) -> None:
    """Define how to generate entity tags; otherwise the coverage phase considers unquoted headers valid."""
    document["components"]["schemas"]["EntityTags"]["format"] = "entity-tags"


@schemathesis.hook
def after_load_schema(_context: HookContext, schema: BaseSchema) -> None:
    """Call the application in this process if the environment says so; start each scenario in the same state.

    Hypothesis repeats parts of scenarios. It treats a different response as flaky, and ends the stateful
    phase early.
    """
    if os.environ.get("FUZZ_IN_PROCESS"):
        schema.app = app
    build = schema.build_state_machine

    def build_state_machine(**options: Any) -> type[APIStateMachine]:
        class Scenario(build(**options)):
            def __init__(self) -> None:
                super().__init__()
                reset_state()

        return Scenario

    schema.build_state_machine = build_state_machine


def reset_state() -> None:
    """Delete all users and the recorded state."""
    empty(app)
    seen.clear()
    etags.clear()


@schemathesis.hook
def before_call(_context: HookContext, case: Case, _arguments: dict[str, Any]) -> None:
    """Keep valid requests valid: use a free email address, and add the newest version to `If-Match`."""
    email = case.body.get("email") if isinstance(case.body, dict) else None
    if isinstance(email, str) and ADDRESS.is_valid(email):
        if email.lower() in seen:
            case.body["email"] = f"unique{next(numbers)}@example.org"
        seen.add(case.body["email"].lower())
    tags, newest = case.headers.get("If-Match"), etags.get(case.formatted_path)
    if isinstance(tags, str) and newest and tags != "*" and ENTITY_TAGS.is_valid(tags):
        both = f"{tags}, {newest}"
        case.headers["If-Match"] = both if ENTITY_TAGS.is_valid(both) else newest


@schemathesis.hook
def after_call(_context: HookContext, case: Case, response: Response) -> None:
    """Record the newest version of the user."""
    if etag := response.headers.get("etag"):
        etags[response.headers.get("location", [case.formatted_path])[0]] = etag[0]


@schemathesis.hook
def filter_failure(_context: HookContext, failure: Failure, _case: Case, response: Response) -> bool:
    """Ignore the one error that a valid payload may cause: the email address belongs to another user."""
    return not (
        isinstance(failure, RejectedPositiveData) and response.status_code == 400 and response.json() == TAKEN
    )


@schemathesis.check
def envelope(_context: CheckContext, response: Response, case: Case) -> None:
    """Every response body, documented or not, is an envelope."""
    if case.method == "HEAD" or response.status_code == 304:
        assert not response.content, "unexpected body"
        return
    assert response.headers["content-type"] == ["application/json"], response.headers["content-type"]
    body = response.json()
    outcome = OUTCOMES[response.status_code // 100]
    assert body["status"] == outcome, f"{response.status_code} does not match the status {body['status']!r}"
    assert body.keys() <= KEYS[outcome], f"unknown keys: {body.keys() - KEYS[outcome]}"
    assert outcome == "success" or body["message"], "an error without a message"
