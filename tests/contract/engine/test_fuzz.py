"""Schemathesis over every document of `tests/engine/documents`: every check and phase; what is waived has a reason."""

import logging
import re
from collections import Counter

import pytest
from schemathesis.checks import CHECKS, load_all_checks

from tests.contract.engine.fuzzing import Tried, fuzz
from tests.support.documents import NAMES, load, serve

PHASES = {"EXAMPLES", "COVERAGE", "FUZZING", "STATEFUL_TESTING"}
FEWEST = 2000
SHOWN = 10
DISCRIMINATED = "Schemathesis takes a discriminator for a comment, and makes animals of kinds that there are not"
EMPTY = "a body of no bytes counts as none, as in Connexion, and one is required"
OTHER_CREDENTIALS = {"GET /global", "GET /query", "GET /and", "GET /cookie"}  # The others need what these would take for wrong.
WAIVED = {
    ("files", "RejectedPositiveData", r"PUT /files/\{name\}"): EMPTY,
    ("recursive", "RejectedPositiveData", "POST /animals"): DISCRIMINATED,
}


@pytest.fixture(scope="module")
def tried() -> dict[str, list[Tried]]:
    """What was tried of each document; the application logs each failure, of which there are thousands here."""
    logging.disable()
    try:
        return {name: list(fuzz(load(name), serve(name, strict_validation=True, validate_responses=True))) for name in NAMES}
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", NAMES)
def test_the_engine_keeps_the_document(tried: dict[str, list[Tried]], name: str) -> None:
    failed = [
        f"{one.operation}: {type(one.failure).__name__}: {one.failure.message}\n{one.code}"
        for one in tried[name]
        if one.failure and not waived(name, one)
    ]

    assert failed == [], "\n".join(failed[:SHOWN])


def test_what_is_waived_happens(tried: dict[str, list[Tried]]) -> None:
    happened = {row for name in NAMES for one in tried[name] if one.failure for row in waived(name, one)}

    assert happened == WAIVED.keys()


def test_every_operation_of_a_document_is_accepted_once(tried: dict[str, list[Tried]]) -> None:
    for name in NAMES:
        operations = {f"{node.method.upper()} {node.path}" for node in load(name).operations()}
        accepted = {one.operation for one in tried[name] if one.status and one.status < 400}

        assert operations - accepted - OTHER_CREDENTIALS == set(), name


def test_every_phase_and_every_check_is_made(tried: dict[str, list[Tried]], capsys) -> None:
    load_all_checks()
    every = [one for found in tried.values() for one in found]

    with capsys.disabled():
        print(f"\nchecks by document: { ({name: len(found) for name, found in tried.items()}) }")
        print(f"checks by name: {dict(Counter(one.check for one in every))}")
    assert {one.phase for one in every} >= PHASES
    assert {one.check for one in every} == set(CHECKS.get_all_names()) - {"max_response_time"}
    assert len(every) > FEWEST


def waived(name: str, one: Tried) -> list[tuple[str, str, str]]:
    """Return the rows that waive a failure."""
    failure = type(one.failure).__name__
    return [row for row in WAIVED if row[:2] == (name, failure) and re.fullmatch(row[2], one.operation)]
