"""Schemathesis tests every operation in 4 phases, with all checks and a custom one; EmailTaken is exempt."""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from schemathesis.checks import CHECKS, load_all_checks

from tests.contract.fuzz.run import HERE, REPORTS, in_process, over_http, reports
from tests.contract.mutants.table import operations
from users_api.document import load_document

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
PHASES = {"examples", "coverage", "fuzzing", "stateful"}
CONFIGURATION = tomllib.loads((HERE / "schemathesis.toml").read_text())


@pytest.fixture(scope="module", params=["postgresql-http", "sqlite-asgi"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    """The name of a run, which names its reports, and its exit status."""
    name = request.param
    if name == "postgresql-http":
        return name, over_http(request.getfixturevalue("postgres"), *reports(name)).returncode
    return name, in_process(f"sqlite:///{tmp_path_factory.mktemp('fuzz')}/fuzz.db", *reports(name)).returncode


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

    for name, operation in operations(load_document()):
        without_input = not {"parameters", "requestBody"} & operation.keys() and "{" not in name
        assert tried[name] >= PHASES - ({"examples", "stateful"} if without_input else set())


def test_every_check_is_made(run: tuple[str, int]) -> None:
    load_all_checks()
    judged = [
        made for scenario in scenarios(run[0]) for made in scenario["recorder"].get("checks", {}).values()
    ]

    assert {check["name"] for made in judged for check in made} == {*CHECKS.get_all_names(), "envelope"}


def test_the_stateful_phase_is_not_cut_short(run: tuple[str, int]) -> None:
    wanted = CONFIGURATION["phases"]["stateful"]["generation"]["max-examples"]

    assert sum(scenario["phase"] == "stateful" for scenario in scenarios(run[0])) >= wanted


def test_the_stateful_phase_walks_through_the_life_of_a_user(run: tuple[str, int]) -> None:
    stateful = [scenario for scenario in scenarios(run[0]) if scenario["phase"] == "stateful"]

    followed = {arrow for scenario in stateful for arrow in followed_links(scenario)}
    lives = [life for scenario in stateful for life in request_sequences(scenario)]

    assert followed >= WALK
    assert any(LIFE.search(life) for life in lives), sorted(set(lives), key=len)[-5:]


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
    """Yield the methods and statuses of the requests for each user added, like `POST 201 GET 200 `."""
    answered = [step for step in scenario["recorder"].get("interactions", {}).values() if step["response"]]
    steps = [(step["request"]["method"], step["request"]["uri"], step["response"]) for step in answered]
    for start, (_, _, response) in enumerate(steps):
        if location := response["headers"].get("location"):
            own = [
                (method, answer["status_code"])
                for method, uri, answer in steps[start + 1 :]
                if uri.endswith(location[0])
            ]
            yield "".join(f"{method} {status} " for method, status in [("POST", 201), *own])
