"""Each operation with each kind of credentials and issuer has the outcome that the document demands.

The outcomes are printed, and written to build/access/.
"""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx
import pytest

from tests.support.issued import INVALID, ISSUERS, SCOPES, VALID, Issued
from users_api.document import Parts, load_document
from users_api.engine.document import Document, OperationNode

OPEN_TAGS = {"authentication", "health"}
"""Operations without a token; any other one needs a scope."""
MISSING = {"none": None, "another scheme": "Basic YTpi"}
KINDS = (*MISSING, *INVALID, *VALID)
CHALLENGE = 'Bearer realm="users-api"'
CHALLENGES = {
    "Authentication required.": CHALLENGE,
    "Invalid token.": f'{CHALLENGE}, error="invalid_token"',
}


class Outcome(NamedTuple):
    """What a response says about the credentials: a status and a message, or that they suffice."""

    status: int
    message: str

    def __str__(self) -> str:
        """Return a cell of the table."""
        return "passed" if self == PASSED else str(self.status)


PASSED = Outcome(0, "")


@pytest.fixture(scope="module", params=list(ISSUERS))
def issued(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Issued]]:
    """A service with each kind of issuer."""
    url = f"sqlite:///{tmp_path_factory.mktemp('matrix')}/matrix.db"
    with ISSUERS[request.param](url, WEB_CONCURRENCY="1") as issued:
        yield request.param, issued


def demanded(operation: OperationNode, kind: str) -> Outcome:
    """Return what the document demands."""
    if not operation.security or {} in operation.security:
        return PASSED
    if kind in MISSING:
        return Outcome(401, "Authentication required.")
    if kind in INVALID:
        return Outcome(401, "Invalid token.")
    (requirement,) = operation.security
    granted = (VALID[kind] or "").split()
    return PASSED if set(requirement["oauth"]) <= set(granted) else Outcome(403, "Insufficient scope.")


def received(operation: OperationNode, response: httpx.Response) -> Outcome:
    """Return the outcome, and check the challenge that belongs to it."""
    assert response.status_code < 500
    challenge = response.headers.get("WWW-Authenticate", "")
    if response.status_code not in {401, 403} or not challenge.startswith("Bearer"):
        return PASSED
    message = response.json()["message"]
    scope = " ".join(*(operation.security or [{}])[0].values())
    lacking = f'{CHALLENGE}, error="insufficient_scope", scope="{scope}"'
    assert challenge == CHALLENGES.get(message, lacking)
    return Outcome(response.status_code, message)


def requests(operation: OperationNode) -> Iterator[dict[str, Any]]:
    """Yield a valid request, and one that is wrong in its parameter, its body and its user."""
    content = operation.operation.get("requestBody", {}).get("content", {})
    for media_type, body in content.items():
        example = body["example"]
        text = json.dumps(example) if media_type == "application/json" else urlencode(example)
        yield {"content": text, "headers": {"Content-Type": media_type}}
    if not content:
        yield {}
    yield {"params": {"nonsense": "1"}, "content": b"{", "headers": {"Content-Type": "text/plain"}}


def ask(running: httpx.Client, operation: OperationNode, authorization: str | None) -> set[Outcome]:
    """Return the outcomes of both requests."""
    outcomes = set()
    for number, request in enumerate(requests(operation)):
        headers = request.pop("headers", {}) | ({"Authorization": authorization} if authorization else {})
        path = operation.path.replace("{user_id}", "blah" if number else "1")
        response = running.request(operation.method, path, headers=headers, **request)
        outcomes.add(received(operation, response))
    return outcomes


def authorizations(issued: Issued) -> Mapping[str, str | None]:
    """Return the Authorization header of each kind of credentials."""
    return MISSING | {kind: f"Bearer {token}" for kind, token in issued.tokens.items()}


def test_every_cell_has_the_outcome_that_the_document_demands(
    issued: tuple[str, Issued], capsys: pytest.CaptureFixture[str], root: Path
) -> None:
    name, (running, parts, _) = issued
    operations = list(Document(load_document(parts)).operations())
    headers = authorizations(issued[1])

    with httpx.Client(base_url=running.url) as client:
        cells = {
            (operation.operation["operationId"], kind): (
                demanded(operation, kind),
                ask(client, operation, headers[kind]),
            )
            for operation in operations
            for kind in KINDS
        }

    table = "\n".join(rows(name, [each.operation["operationId"] for each in operations], cells))
    with capsys.disabled():
        print(f"\n{table}")
    file = root / "build" / "access" / f"{name}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{table}\n")
    assert headers.keys() == set(KINDS)
    assert {cell: both for cell, both in cells.items() if both[1] != {both[0]}} == {}


def rows(name: str, operations: list[str], cells: Mapping[tuple[str, str], Any]) -> Iterator[str]:
    """Yield the lines of the table; a cell with a wrong outcome is a HOLE."""
    yield f"{f'{name} issuer':18}" + "".join(f"{each:>16}" for each in operations)
    for kind in KINDS:
        both = [cells[operation, kind] for operation in operations]
        yield f"{kind:18}" + "".join(f"{str(one) if got == {one} else 'HOLE':>16}" for one, got in both)


def weaknesses(document: dict[str, Any]) -> Iterator[str]:
    """Yield each operation whose requirement is not what its tag and its method stand for."""
    for operation in Document(document).operations():
        (tag,) = operation.operation["tags"]
        kind = "read" if operation.method == "get" else "write"
        is_open = not operation.security or {} in operation.security
        needed = [{"oauth": [f"{tag}:{kind}"]}]
        if not (is_open if tag in OPEN_TAGS else operation.security == needed):
            yield f"{operation.pointer} requires {operation.security}"


def mutants(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the document with each security line dropped or loosened, and with each scope swapped."""
    for node in Document(deepcopy(document)).operations():
        requirements = node.operation.get("security")
        if not requirements or {} in requirements:
            continue
        (scope,) = requirements[0]["oauth"]
        changes = {
            "dropped": None,
            "empty": [],
            "optional": [*requirements, {}],
            "without scope": [{"oauth": []}],
            **{f"{each} as well": [*requirements, {"oauth": [each]}] for each in SCOPES if each != scope},
            **{f"{each} instead": [{"oauth": [each]}] for each in SCOPES if each != scope},
        }
        for name, change in changes.items():
            mutant = deepcopy(document)
            operation = mutant["paths"][node.path][node.method]
            operation["security"] = change
            if change is None:
                del operation["security"]
            yield f"{node.operation['operationId']}: {name}", mutant


@pytest.mark.parametrize("parts", [Parts(), Parts(issuer="https://issuer.example")], ids=["own", "external"])
def test_each_operation_needs_the_scope_of_its_tag_and_method(parts: Parts) -> None:
    assert list(weaknesses(load_document(parts))) == []


def test_every_mutant_of_a_requirement_is_caught(capsys: pytest.CaptureFixture[str]) -> None:
    found = dict(mutants(load_document()))

    survivors = [name for name, mutant in found.items() if not any(weaknesses(mutant))]

    with capsys.disabled():
        print(f"\nmutants of security: {len(found) - len(survivors)} of {len(found)} caught")
    assert len(found) >= 8 * 7
    assert survivors == []
