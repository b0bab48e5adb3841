"""Schemathesis over all of `tests/engine/documents`: every check and phase; ignored failures have reasons."""

import logging
import re
from collections import Counter

import pytest
from schemathesis.checks import CHECKS, load_all_checks

from tests.contract.engine.fuzzing import CheckResult, fuzz
from tests.support.documents import NAMES, load, serve

PHASES = {"EXAMPLES", "COVERAGE", "FUZZING", "STATEFUL_TESTING"}
FEWEST = 2000
SHOWN = 10
DISCRIMINATED = (
    "Schemathesis takes a discriminator for a comment, and makes animals of kinds that there are not"
)
EMPTY = "a body of no bytes counts as none, as in Connexion, and one is required"
# The others need credentials that these reject.
OTHER_CREDENTIALS = {
    "GET /global",
    "GET /query",
    "GET /and",
    "GET /cookie",
}
WAIVED = {
    ("files", "RejectedPositiveData", r"PUT /files/\{name\}"): EMPTY,
    ("recursive", "RejectedPositiveData", "POST /animals"): DISCRIMINATED,
}


@pytest.fixture(scope="module")
def tried() -> dict[str, list[CheckResult]]:
    """The checks of each document; logging is off because there are thousands of failures."""
    logging.disable()
    try:
        return {
            name: list(fuzz(load(name), serve(name, strict_validation=True, validate_responses=True)))
            for name in NAMES
        }
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", NAMES)
def test_the_engine_conforms_to_the_document(tried: dict[str, list[CheckResult]], name: str) -> None:
    failed = [
        f"{one.operation}: {type(one.failure).__name__}: {one.failure.message}\n{one.code}"
        for one in tried[name]
        if one.failure and not matching_exceptions(name, one)
    ]

    assert failed == [], "\n".join(failed[:SHOWN])


def test_every_listed_exception_occurs(tried: dict[str, list[CheckResult]]) -> None:
    happened = {
        row for name in NAMES for one in tried[name] if one.failure for row in matching_exceptions(name, one)
    }

    assert happened == WAIVED.keys()


def test_every_operation_of_a_document_is_accepted_once(tried: dict[str, list[CheckResult]]) -> None:
    for name in NAMES:
        operations = {f"{node.method.upper()} {node.path}" for node in load(name).operations()}
        accepted = {one.operation for one in tried[name] if one.status and one.status < 400}

        assert operations - accepted - OTHER_CREDENTIALS == set(), name


def test_every_phase_and_every_check_is_made(tried: dict[str, list[CheckResult]], capsys) -> None:
    load_all_checks()
    every = [one for found in tried.values() for one in found]

    with capsys.disabled():
        print(f"\nchecks by document: { ({name: len(found) for name, found in tried.items()}) }")
        print(f"checks by name: {dict(Counter(one.check for one in every))}")
    assert {one.phase for one in every} >= PHASES
    assert {one.check for one in every} == set(CHECKS.get_all_names()) - {"max_response_time"}
    assert len(every) > FEWEST


def matching_exceptions(name: str, one: CheckResult) -> list[tuple[str, str, str]]:
    """Return the rows that allow a failure."""
    failure = type(one.failure).__name__
    return [row for row in WAIVED if row[:2] == (name, failure) and re.fullmatch(row[2], one.operation)]
