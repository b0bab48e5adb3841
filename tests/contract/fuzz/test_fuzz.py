"""Schemathesis tests every operation in 4 phases, with all checks and a custom one; EmailTaken is exempt.

Over HTTP the service requires access tokens, in process it does not.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from schemathesis.checks import CHECKS, load_all_checks

from tests.contract.fuzz.run import (
    HERE,
    REPORTS,
    document_file,
    in_process,
    over_http,
    reports,
    without_tokens,
)
from tests.contract.mutants.table import operations

# A user's requests in one scenario: created, read and changed in any order, deleted, not found.
LIFE = re.compile(
    r"POST 201 (?=.*\bGET 200 .*\bDELETE 200 ).*\b(?:PUT|PATCH) 200 .*\bDELETE 200 .*\bGET 404 "
)
WALK = {
    ("POST /users -> [201] FindUser -> GET /users", 200),
    ("POST /users -> [201] GetUser -> GET /users/{user_id}", 200),
    ("GET /users/{user_id} -> [200] UpdateUser -> PUT /users/{user_id}", 200),
    ("PUT /users/{user_id} -> [200] DeleteUser -> DELETE /users/{user_id}", 200),
    ("DELETE /users/{user_id} -> [200] GetUser -> GET /users/{user_id}", 404),
}
TOKENS = {
    "postgresql-http": {("", 200), ("Basic", 200), ("", 400), ("Basic", 400), ("", 401)},
    "sqlite-asgi": set(),
}
"""How requests for tokens name the client, and the status of the responses."""
UNAUTHORIZED = 401
PHASES = {"examples", "coverage", "fuzzing", "stateful"}
REJECTED = {(None, 401), ("Bearer SCHEMATHESIS-INVALID-VALUE", 401)}
"""The credentials that `ignored_auth` sends, and the status of the responses."""
CONFIGURATION = tomllib.loads((HERE / "schemathesis.toml").read_text())


@pytest.fixture(scope="module", params=["postgresql-http", "sqlite-asgi"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    """The name of a run, which names its reports, and its exit status."""
    name = request.param
    if name == "postgresql-http":
        return name, over_http(request.getfixturevalue("postgres"), name, *reports(name)).returncode
    url = f"sqlite:///{tmp_path_factory.mktemp('fuzz')}/fuzz.db"
    return name, in_process(url, name, *reports(name)).returncode


def test_the_service_conforms_to_its_document(run: tuple[str, int]) -> None:
    name, status = run

    assert status == 0, f"see {REPORTS / name}/html/index.html"
    assert int(ET.parse(REPORTS / name / "junit.xml").getroot().attrib["tests"]) > 0  # noqa: S314 -- our own file.


def test_every_operation_is_tried_in_every_phase(run: tuple[str, int]) -> None:
    tried: dict[str, set[str]] = {}
    for scenario in scenarios(run[0]):
        for case in scenario["recorder"].get("cases", {}).values():
            tried.setdefault(f"{case['value']['method']} {case['value']['path']}", set()).add(
                scenario["phase"]
            )

    text = document_file(run[0]).read_text()
    for name, operation in operations(document(run[0])):
        without_input = not {"parameters", "requestBody"} & operation.keys() and "{" not in name
        is_linked = '"links"' in json.dumps(operation) or text.count(f'"{operation["operationId"]}"') > 1
        impossible = {*["examples"] * without_input, *["stateful"] * (not is_linked)}
        assert tried[name] >= PHASES - impossible


def test_every_check_is_made(run: tuple[str, int]) -> None:
    load_all_checks()

    made = {check["name"] for scenario in scenarios(run[0]) for check in checks(scenario)}

    assert made == {*CHECKS.get_all_names(), "envelope"}


def test_the_stateful_phase_is_not_cut_short(run: tuple[str, int]) -> None:
    wanted = CONFIGURATION["phases"]["stateful"]["generation"]["max-examples"]

    assert sum(scenario["phase"] == "stateful" for scenario in scenarios(run[0])) >= wanted


def test_the_stateful_phase_walks_through_the_life_of_a_user(run: tuple[str, int]) -> None:
    stateful = [scenario for scenario in scenarios(run[0]) if scenario["phase"] == "stateful"]

    followed = {arrow for scenario in stateful for arrow in followed_links(scenario)}
    lives = [life for scenario in stateful for life in request_sequences(scenario)]

    assert followed >= WALK
    assert any(LIFE.search(life) for life in lives), sorted(set(lives), key=len)[-5:]


def test_ignored_auth_sends_no_and_invalid_credentials_to_every_secured_operation(
    run: tuple[str, int],
) -> None:
    secured = {
        name
        for name, operation in operations(document(run[0]))
        if operation.get("security") and {} not in operation["security"]
    }
    sent: dict[str, set[tuple[str | None, int]]] = {}
    for scenario in scenarios(run[0]):
        for name, *probe in authorization_probes(scenario):
            sent.setdefault(name, set()).add(tuple(probe))

    assert sent == dict.fromkeys(secured, REJECTED)
    assert bool(secured) == (run[0] == "postgresql-http")


def test_ignored_auth_fails_for_a_service_that_ignores_credentials(tmp_path: Path) -> None:
    options = ("--checks=ignored_auth", "--include-operation-id=list_users", "--phases=examples")

    status = without_tokens(
        f"sqlite:///{tmp_path}/fuzz.db", "without-tokens", *options, *reports("without-tokens")
    )

    made = [check for scenario in scenarios("without-tokens") for check in checks(scenario)]
    assert status.returncode == 1
    assert {(check["name"], check["status"]) for check in made} == {("ignored_auth", "failure")}


def test_tokens_are_issued_and_refused(run: tuple[str, int]) -> None:
    seen = {
        ((authorization(exchange) or "").partition(" ")[0], exchange["response"]["status_code"])
        for scenario in scenarios(run[0])
        for exchange in scenario["recorder"].get("interactions", {}).values()
        if exchange["request"]["uri"].endswith("/oauth/token") and exchange["request"]["method"] == "POST"
    }

    assert seen >= TOKENS[run[0]]


def document(name: str) -> dict[str, Any]:
    """Return the document of a run."""
    return json.loads(document_file(name).read_text())


def checks(scenario: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the checks made in the scenario."""
    for made in scenario["recorder"].get("checks", {}).values():
        yield from made


def authorization(exchange: dict[str, Any]) -> str | None:
    """Return the credentials of the request."""
    return exchange["request"]["headers"].get("Authorization", [None])[0]


def authorization_probes(scenario: dict[str, Any]) -> Iterator[tuple[str, str | None, int]]:
    """Yield operation, credentials and status of each repetition of a successful request with others.

    No other check sends such requests.
    """
    exchanges = scenario["recorder"].get("interactions", {})
    for name, case in scenario["recorder"].get("cases", {}).items():
        if (parent := case.get("parent_id")) and "transition" not in case:
            before, after = exchanges[parent], exchanges[name]
            if authorization(before) != authorization(after):
                assert before["response"]["status_code"] < 300
                operation = f"{case['value']['method']} {case['value']['path']}"
                yield operation, authorization(after), after["response"]["status_code"]


def scenarios(name: str) -> Iterator[dict[str, Any]]:
    """Yield the scenarios from the report of a run."""
    with (REPORTS / name / "events.ndjson").open() as lines:
        for line in lines:
            if scenario := json.loads(line).get("ScenarioFinished"):
                yield scenario


def followed_links(scenario: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield each link that the scenario followed, with the resulting status."""
    interactions = scenario["recorder"].get("interactions", {})
    for name, case in scenario["recorder"].get("cases", {}).items():
        if case["is_transition_applied"] and (answer := interactions[name]["response"]):
            yield case["transition"]["id"], answer["status_code"]


def request_sequences(scenario: dict[str, Any]) -> Iterator[str]:
    """Yield the methods and statuses of the requests for each user added, like `POST 201 GET 200 `.

    Those that `ignored_auth` sends in between, without valid credentials, are left out.
    """
    answered = [step for step in scenario["recorder"].get("interactions", {}).values() if step["response"]]
    steps = [(step["request"]["method"], step["request"]["uri"], step["response"]) for step in answered]
    for start, (_, _, response) in enumerate(steps):
        if location := response["headers"].get("location"):
            own = [
                (method, answer["status_code"])
                for method, uri, answer in steps[start + 1 :]
                if uri.endswith(location[0]) and answer["status_code"] != UNAUTHORIZED
            ]
            yield "".join(f"{method} {status} " for method, status in [("POST", 201), *own])
