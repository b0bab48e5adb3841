"""Adapts Schemathesis to the service: emails are unique, tokens have clients, and responses are envelopes."""

import os
from base64 import b64encode
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
CLIENT_ID, CLIENT_SECRET = os.environ["FUZZ_CLIENT_ID"], os.environ["FUZZ_CLIENT_SECRET"]
BASIC = f"Basic {b64encode(f'{CLIENT_ID}:{CLIENT_SECRET}'.encode()).decode()}"
OUTCOMES = {2: "success", 4: "fail", 5: "error"}
KEYS = {
    "success": {"status", "message", "data"},
    "fail": {"status", "message", "errors"},
    "error": {"status", "message"},
}
DATES = {"created_after", "created_before"}
BY_DATE = {"created_date", "-created_date"}
METRICS = {("GET /metrics", 200): "text/plain; version=0.0.4; charset=utf-8"}
"""The responses that are not JSON."""
TOKEN_REFUSAL = {"error", "error_description"}
DOCUMENTS = {
    ("POST /oauth/token", 200): {"access_token", "token_type", "expires_in", "scope"},
    ("POST /oauth/token", 400): TOKEN_REFUSAL,
    ("POST /oauth/token", 401): TOKEN_REFUSAL,
    ("GET /.well-known/jwks.json", 200): {"keys"},
}
"""The responses whose JSON has the form of another standard, and its properties."""

app = create_app()
numbers = count(1)
seen: set[str] = set()
etags: dict[str, str] = {}

schemathesis.openapi.format("entity-tags", st.from_regex(SCHEMAS["EntityTags"]["pattern"], fullmatch=True))


@schemathesis.hook
def before_load_schema(_context: HookContext, document: dict[str, Any]) -> None:
    """Define how to generate entity tags; otherwise the coverage phase considers unquoted headers valid.

    Schemathesis knows what an access token is only from schemes of the type `http`: with `oauth2` it would
    send none, and `ignored_auth` would check nothing.
    """
    document["components"]["schemas"]["EntityTags"]["format"] = "entity-tags"
    for scheme in document["components"].get("securitySchemes", {}).values():
        if scheme["type"] == "oauth2":
            scheme |= {"type": "http", "scheme": "bearer"}


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
    empty(app, kept={"clients"})
    seen.clear()
    etags.clear()


@schemathesis.hook
def before_call(_context: HookContext, case: Case, _arguments: dict[str, Any]) -> None:
    """Keep valid requests valid: use a free email, add the newest version to `If-Match`, name a client."""
    if case.path == "/oauth/token":
        make_grantable(case)
        return
    if (case.method, case.path) == ("GET", "/users"):
        make_combinable(case)
    email = case.body.get("email") if isinstance(case.body, dict) else None
    if isinstance(email, str) and ADDRESS.is_valid(email):
        if email.lower() in seen:
            case.body["email"] = f"unique{next(numbers)}@example.org"
        seen.add(case.body["email"].lower())
    tags, newest = case.headers.get("If-Match"), etags.get(case.formatted_path)
    if isinstance(tags, str) and newest and tags != "*" and ENTITY_TAGS.is_valid(tags):
        both = f"{tags}, {newest}"
        case.headers["If-Match"] = both if ENTITY_TAGS.is_valid(both) else newest


def make_combinable(case: Case) -> None:
    """Remove parameters that the document excludes in words, and a place that no link has named."""
    if not (case.query and case.meta and case.meta.generation.mode.is_positive):
        return
    query = case.query
    by_date = not query.keys().isdisjoint(DATES) or str(query.get("order")).endswith("created_date")
    excluded = {"before"} if "after" in query else set()
    if "email" not in query and ("q" in query or by_date):
        excluded |= {
            "username",
            "after",
            "before",
            "key",
            *([] if query.get("order") in BY_DATE else ["order"]),
        }
        excluded |= {"order", *DATES} if "q" in query else set()
    for name in excluded & query.keys():
        del query[name]


def make_grantable(case: Case) -> None:
    """Name the only grant type, and a client if the payload has a secret or else an id.

    Invalid payloads, unknown clients and unknown scopes remain, so that the service also refuses some.
    """
    if not (isinstance(case.body, dict) and case.meta and case.meta.generation.mode.is_positive):
        return
    case.body["grant_type"] = "client_credentials"
    if "client_secret" in case.body:
        case.body |= {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    elif "client_id" in case.body:
        case.body["client_id"] = CLIENT_ID
        case.headers["Authorization"] = BASIC


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
    """Every response body, documented or not, is an envelope, unless another standard defines it."""
    if case.method == "HEAD" or response.status_code == 304:
        assert not response.content, "unexpected body"
        return
    place = (f"{case.method} {case.path}", response.status_code)
    media_type = METRICS.get(place, "application/json")
    assert response.headers["content-type"] == [media_type], response.headers["content-type"]
    if place in DOCUMENTS:
        assert response.json().keys() == DOCUMENTS[place], f"other properties: {list(response.json())}"
    elif place not in METRICS:
        check_envelope(response.status_code, response.json())


def check_envelope(status: int, body: dict[str, Any]) -> None:
    """Check that the envelope is one for the status."""
    outcome = OUTCOMES[status // 100]
    assert body["status"] == outcome, f"{status} does not match the status {body['status']!r}"
    assert body.keys() <= KEYS[outcome], f"unknown keys: {body.keys() - KEYS[outcome]}"
    assert outcome == "success" or body["message"], "an error without a message"
