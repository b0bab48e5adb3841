"""A service with AUTH=required responds as in the examples that have to do with access tokens."""

import json
import re
from collections.abc import Iterator

import httpx
import pytest

from tests.contract.document import access, examples
from tests.support.issued import Issued, own_issuer
from tests.support.waiting import until

RESPONSES = {response.name: response for response in examples.responses()}
REQUESTS = {request.operation: request for request in examples.requests()}
RANDOM = re.compile(r"[\w-]{16,}\.[\w-]{16,}\.[\w-]{12,}|[\w-]{43}")
"""A token or a part of a key."""
CHALLENGES = {
    "Unauthorized AuthenticationRequired": 'Bearer realm="users-api"',
    "Forbidden": 'Bearer realm="users-api", error="insufficient_scope", scope="users:read"',
}
"""Instead of the one example of this header, which is that of an invalid token."""


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issued]:
    """A service with AUTH=required."""
    url = f"sqlite:///{tmp_path_factory.mktemp('examples')}/examples.db"
    with own_issuer(url, WEB_CONCURRENCY="1") as issued:
        yield issued


@pytest.fixture(scope="module")
def registered(issued: Issued) -> dict[str, str]:
    """The id and the secret of a client."""
    added = issued.running.command("clients", "add", "examples", "--scope", "users:read").split()
    return {"{id}": added[1], "{secret}": added[3]}


def constant(value: str) -> str:
    """Return the text without keys and tokens."""
    return RANDOM.sub("…", value)


@pytest.mark.parametrize("name", [name for name in access.ANSWERS if name != "read_metrics 200"])
def test_a_response_equals_its_example(issued: Issued, registered: dict[str, str], name: str) -> None:
    kind, method, path, options = access.ANSWERS[name]
    form = {key: registered.get(value, value) for key, value in options.get("data", {}).items()}
    headers = {"Authorization": f"Bearer {issued.tokens[kind]}"} if kind else {}

    answer = httpx.request(method, issued.running.url + path, data=form, headers=headers)

    example = RESPONSES[name]
    challenge = {"WWW-Authenticate": CHALLENGES[name]} if name in CHALLENGES else {}
    expected = example.headers | challenge
    assert json.loads(constant(answer.text)) == json.loads(constant(json.dumps(example.body)))
    assert {header: answer.headers[header] for header in expected} == expected


def test_the_metrics_contain_their_example(issued: Issued) -> None:
    headers = {"Authorization": f"Bearer {issued.tokens['metrics:read']}"}
    for _ in range(3):
        httpx.get(f"{issued.running.url}/ping")

    expected = set(RESPONSES["read_metrics 200"].body.splitlines())

    def contains_example() -> bool:
        metrics = httpx.get(f"{issued.running.url}/metrics", headers=headers).text
        return expected <= set(metrics.splitlines())

    until(contains_example)  # Requests are counted a moment after their end.


@pytest.mark.parametrize("operation", sorted(access.OPERATIONS))
def test_a_request_example_is_accepted(issued: Issued, registered: dict[str, str], operation: str) -> None:
    example = REQUESTS[operation]
    own = {"client_id": registered["{id}"], "client_secret": registered["{secret}"]}
    token = (
        {"Authorization": f"Bearer {issued.tokens['metrics:read']}"} if operation == "read_metrics" else {}
    )

    answer = httpx.request(
        example.method,
        issued.running.url + example.path,
        data={**example.body, **own} if example.body else None,
        headers=token,
    )

    assert answer.status_code == 200


def test_the_example_of_a_client_has_the_form_of_clients(registered: dict[str, str]) -> None:
    example = REQUESTS["issue_token"].body["client_id"]

    assert re.fullmatch("[0-9a-f]+", example)
    assert len(example) == len(registered["{id}"])
