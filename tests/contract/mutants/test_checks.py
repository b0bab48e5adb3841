"""The checks of sent responses notice each change of the document that the service's responses violate."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from connexion.middleware import MiddlewarePosition
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.contract.mutants.exchanges import Request, Response, ServiceStates
from tests.contract.mutants.judge import at_the_ends
from tests.contract.mutants.mutations import mutants
from tests.contract.mutants.resolution import resolved
from tests.contract.mutants.table import operations
from tests.contract.mutants.verdicts import NUMBER, compiled
from tests.support.virtual_time import run_in_virtual_time
from users_api.engine import App, DocumentError
from users_api.engine.response_checks import MAX_BODY_BYTES

SAMPLE = 7
FEWEST = 20
RATE = 0.1
BLOCK = 10
BY_THE_SERVER = 431
"""The status of responses that the server sends before it calls the application."""
Exchange = tuple[Request, Response]


@pytest.fixture(scope="module")
def exchanges(stage: ServiceStates, filled: Mapping[Any, Exchange]) -> list[Exchange]:
    """A response of each status of each operation, and responses with extreme values."""
    found = [*filled.values(), *((request, stage.ask(request)) for request in at_the_ends())]
    return [
        (request, answer)
        for request, answer in found
        if answer.status != BY_THE_SERVER and len(answer.body) <= MAX_BODY_BYTES
    ]


@pytest.fixture(scope="module")
def chosen(document: dict[str, Any], pytestconfig: pytest.Config) -> dict[str, Any]:
    """The mutants of responses, by name."""
    step = 1 if pytestconfig.getoption("--all-mutants") else SAMPLE
    return dict([(name, mutant) for name, mutant in mutants(document) if is_of_responses(name)][::step])


def is_of_responses(name: str) -> bool:
    """Return whether the mutation may concern a response."""
    place, _, what = name.partition(": ")
    parts = place.split("/")
    is_status = "responses" not in parts and what[:3].isdigit()
    return (
        is_status
        or "responses" in parts
        or parts[:2] in (["components", "schemas"], ["components", "headers"])
    )


class Replaying:
    """Middleware that sends the response in the scope, in place of the application."""

    def __init__(self, _app: ASGIApp) -> None:
        """Wrap nothing."""

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the response."""
        answer: Response = scope["answer"]
        headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


async def empty_handler(**_arguments: Any) -> Any:
    """Never run."""


class Replay:
    """An application that sends recorded responses, and the operations whose violations it has noticed."""

    def __init__(self, document: Mapping[str, Any], rate: float = 1) -> None:
        self.noticed: list[str] = []
        self.app = App(
            __name__,
            resolver=lambda _name: empty_handler,
            strict_validation=True,
            check_responses=rate,
            on_violation=lambda operation, _status, _found: self.noticed.append(operation),
        )
        self.app.add_middleware(Replaying, MiddlewarePosition.BEFORE_EXCEPTION)
        self.app.add_api(dict(document))
        self.app.build()

    async def send(self, exchange: Exchange) -> None:
        """Send a response to its request."""
        request, answer = exchange
        path = request.target.partition("?")[0]

        async def send(_message: Message) -> None:
            """Take the message."""

        scope = {"type": "http", "method": request.method, "path": path, "headers": [], "answer": answer}
        await self.app({**scope, "raw_path": path.encode(), "query_string": b""}, send, send)

    async def noticed_after(self, exchanges: list[Exchange], seconds: float = 0) -> list[str]:
        """Return the operations whose violations are noticed in these responses, so long after the last."""
        self.noticed.clear()
        for exchange in exchanges:
            await self.send(exchange)
        await asyncio.sleep(seconds)
        return list(self.noticed)

    async def each_noticed(self, exchanges: list[Exchange]) -> list[list[str]]:
        """Return the same for each response alone."""
        return [await self.noticed_after([exchange]) for exchange in exchanges]


def violated(document: Mapping[str, Any], exchanges: list[Exchange]) -> Iterator[tuple[Exchange, str, bool]]:
    """Yield each exchange with its operationId, and whether the response violates the document."""
    named = dict(operations(resolved(document)))
    for exchange in exchanges:
        operation = named[exchange[0].operation]
        yield exchange, operation["operationId"], violates(operation, exchange[1])


def violates(operation: Mapping[str, Any], answer: Response) -> bool:
    """Return whether the response violates what the operation says, without any help of the engine."""
    response = operation["responses"].get(str(answer.status))
    if response is None:
        return True
    for name, header in response.get("headers", {}).items():
        text = answer.headers.get(name.lower())
        if (
            header.get("required", False)
            if text is None
            else not is_valid(header["schema"], typed(header, text))
        ):
            return True
    content = response.get("content")
    if content is None or not answer.body:
        return False
    media = content.get(answer.headers["content-type"])
    return media is None or not is_valid(media["schema"], answer.json())


def typed(header: Mapping[str, Any], text: str) -> Any:
    """Return the header's value in the type of its schema."""
    is_number = header["schema"].get("type") in {"integer", "number"} and NUMBER.fullmatch(text)
    return int(text) if is_number else text


def is_valid(schema: Any, value: Any) -> bool:
    """Return whether the value conforms to the schema."""
    return validator(json.dumps(schema)).is_valid(value)


@cache
def validator(schema: str) -> Any:
    """Return the validator of a schema."""
    return compiled(json.loads(schema))


def replay(document: Mapping[str, Any], rate: float = 1) -> Replay | None:
    """Return the application, or None if it refuses to start."""
    try:
        return Replay(document, rate)
    except DocumentError:
        return None


def test_each_violating_response_is_noticed_at_once_and_no_other(
    chosen: Mapping[str, Any], exchanges: list[Exchange]
) -> None:
    noticed_mutants = 0
    for name, mutant in chosen.items():
        if (running := replay(mutant)) is None:
            continue
        expected = list(violated(mutant, exchanges))
        noticed = asyncio.run(running.each_noticed(exchanges))
        found = [operation in names for (_, operation, _), names in zip(expected, noticed, strict=True)]
        assert found == [is_violation for *_, is_violation in expected], name
        noticed_mutants += any(found)

    assert noticed_mutants >= FEWEST


def test_at_a_lower_rate_it_is_noticed_within_one_block_of_requests(
    chosen: Mapping[str, Any], exchanges: list[Exchange]
) -> None:
    tried = 0
    for name, mutant in chosen.items():
        first = next((each for each in violated(mutant, exchanges) if each[2]), None)
        if first and (running := replay(mutant, RATE)):
            tried += 1
            exchange, operation, _ = first
            assert operation in run_in_virtual_time(running.noticed_after([exchange] * BLOCK, 1)), name

    assert tried >= FEWEST


def test_the_services_own_responses_violate_nothing(
    stage: ServiceStates, secured_stage: ServiceStates, filled: Any, secured_filled: Any
) -> None:
    assert filled
    assert secured_filled
    for each in (stage, secured_stage):
        for name, running in each.services.items():
            assert "violates the document" not in running.output(), name
