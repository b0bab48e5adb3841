"""The engine enforces or rejects mutations of security, servers, and parameters' style, explode, required."""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from starlette.types import Message

from tests.contract.mutants.exchanges import Request
from tests.contract.mutants.mutations import mutants
from tests.contract.mutants.probes import probes
from tests.contract.mutants.resolution import resolved
from tests.contract.mutants.table import operations
from users_api.engine import App, DocumentError

WORDS = ("security", "servers", "style", "explode", "required")
SINGLE = "a single value is written alike, exploded or not"


@pytest.fixture(scope="module")
def requests(document: dict[str, Any]) -> list[Request]:
    """The requests that test each rule of each operation of the document, except the bounds of bodies."""
    whole = resolved(document)
    named = [
        (name, operation, whole["paths"][name.split(" ")[1]].get("parameters", []))
        for name, operation in operations(whole)
    ]
    return [
        request for name, operation, parameters in named for request in probes(name, operation, parameters)
    ]


def test_each_mutant_is_rejected_or_changes_a_response(
    document: dict[str, Any], requests: list[Request], capsys
) -> None:
    chosen = [(name, mutant) for name, mutant in mutants(document) if is_of_parameters_or_place(name)]
    logging.disable()
    try:
        true = list(outcomes(application(document), requests))
        found = {name: verdict(mutant, requests, true) for name, mutant in chosen}
    finally:
        logging.disable(logging.NOTSET)

    counts = {what: list(found.values()).count(what) for what in sorted(set(found.values()))}
    with capsys.disabled():
        print(f"\nenforced: {counts}")
    assert [name for name in found if found[name] == "unnoticed" and ": explode " not in name] == []
    assert {found[name] for name in found if ": explode " in name} == {"unnoticed"}, SINGLE
    assert {"refused", "noticed"} <= set(found.values())


def is_of_parameters_or_place(name: str) -> bool:
    """Return whether the mutation concerns one of these keywords, but not a property or a response header."""
    place, _, what = name.partition(": ")
    is_parameter = not place or "parameters" in place.split("/")[-2:]
    return is_parameter and what.startswith(WORDS)


def verdict(mutant: dict[str, Any], requests: list[Request], true: list[int]) -> str:
    """Return the outcome for the mutant."""
    try:
        app = application(mutant)
    except DocumentError:
        return "refused"
    differs = any(ours != other for ours, other in zip(true, outcomes(app, requests), strict=True))
    return "noticed" if differs else "unnoticed"


def application(document: Mapping[str, Any]) -> App:
    """Return an application whose handlers do nothing."""
    app = App(__name__, resolver=lambda _name: empty_handler, strict_validation=True, pythonic_params=True)
    app.add_api(dict(document))
    app.build()
    return app


async def empty_handler(**_arguments: Any) -> Any:
    return {}, 200, {"Content-Type": "application/json"}


def outcomes(app: App, requests: list[Request]) -> Iterator[int]:
    """Yield the status of each request."""
    with asyncio.Runner() as runner:
        for request in requests:
            yield runner.run(status(app, request))


async def status(app: App, request: Request) -> int:
    """Return the status of the response."""
    path, _, query = request.target.partition("?")
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": request.body or b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in request.headers]
    length = [(b"content-length", b"%d" % len(request.body))] if request.body is not None else []
    scope = {
        "type": "http",
        "method": request.method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [*headers, *length],
    }
    await app(scope, receive, send)
    return int(sent[0]["status"])
