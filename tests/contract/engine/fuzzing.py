"""Runs Schemathesis on a document in this process, with the same requests in the same order each time."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import schemathesis
from schemathesis.config import GenerationConfig, SchemathesisConfig
from schemathesis.core.failures import Failure
from schemathesis.engine import events, from_schema
from starlette.types import ASGIApp, Receive, Scope, Send

from users_api.engine.document import Document

SEED = 20261127
EXAMPLES = 8
WALKS = 10
STEPS = 6
BEARER = {"Authorization": "Bearer read-write"}
CREDENTIALS = {
    "Museum": {"Authorization": "Basic bXVzZXVtOmFydA=="},
    "Trains": BEARER,
    "Pet store": BEARER | {"api_key": "special-key"},
    "Every security scheme": BEARER | {"X-Key": "special-key"},
}


class CheckResult(NamedTuple):
    """The result of one check of one response."""

    check: str
    phase: str
    operation: str
    status: int | None
    failure: Failure | None
    code: str


def fuzz(
    document: Document,
    app: ASGIApp,
    *,
    stateful: bool = True,
    checks: str | None = None,
    examples: int = EXAMPLES,
) -> Iterator[CheckResult]:
    """Yield every check of every response; raise an error of Schemathesis itself."""
    config = SchemathesisConfig(seed=SEED)
    project = config.projects.default
    project.continue_on_failure = True
    project.headers = CREDENTIALS.get(document.root["info"]["title"])
    project.generation = GenerationConfig(max_examples=examples, database="none", deterministic=True)
    if checks:
        project.checks.update(included_check_names=[checks])
    project.phases.stateful.enabled = stateful
    project.phases.stateful.generation.max_examples = WALKS
    project.phases.stateful.max_steps = STEPS
    project.phases.stateful.inference.algorithms = []
    schema = schemathesis.openapi.from_dict(_document_for_schemathesis(document), config=config)
    schema.app = without_delimiter_encoding(app)
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError):
            raise event.value
        if isinstance(event, events.FatalError):
            raise event.exception
        if isinstance(event, events.ScenarioFinished):
            yield from _tried(event)


def _tried(event: events.ScenarioFinished) -> Iterator[CheckResult]:
    recorder = event.recorder
    for case, checks in recorder.checks.items():
        made = recorder.cases[case].value
        response = recorder.interactions[case].response
        for check in checks:
            failure = check.failure_info.failure if check.failure_info else None
            code = check.failure_info.code_sample if check.failure_info else ""
            status = response.status_code if response else None
            yield CheckResult(
                check.name, event.phase.name, f"{made.method} {made.path}", status, failure, code
            )


def _document_for_schemathesis(document: Document) -> dict[str, Any]:
    """Return the document without `Accept` parameters, which OpenAPI ignores but Schemathesis does not."""
    said = {**document.root, "servers": [{"url": document.base_path or "/"}]}
    for node in document.operations():
        parameters = node.operation.get("parameters", [])
        parameters[:] = [one for one in parameters if one.get("name") != "Accept"]
    return said


def without_delimiter_encoding(app: ASGIApp) -> ASGIApp:
    """Wrap the application so that it receives unencoded delimiters, which Schemathesis encodes."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["query_string"] = scope["query_string"].replace(b"%2C", b",")
        await app(scope, receive, send)

    return serve
