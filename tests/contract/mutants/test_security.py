"""A service with AUTH=required shows each change of the document's security."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.contract.mutants.exchanges import ServiceStates
from tests.contract.mutants.mutations import mutants
from tests.contract.mutants.resolution import resolved
from tests.contract.mutants.table import operations, sample
from tests.support.issued import VALID

KINDS = ("none", *VALID)
Outcomes = Mapping[tuple[str, str], int]
PASSED = 0
FEWEST = 60


@pytest.fixture(scope="module")
def observed(secured_document: dict[str, Any], secured_stage: ServiceStates) -> Outcomes:
    """The outcome of each operation for each kind of token: 401, 403, or that the token suffices."""
    found = {}
    for name, operation in operations(resolved(secured_document)):
        for kind in KINDS:
            answer = secured_stage.ask(sample(name, operation, kind=kind))
            is_about_token = answer.headers.get("www-authenticate", "").startswith("Bearer")
            found[name, kind] = answer.status if is_about_token else PASSED
    return found


def demanded(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], int]]:
    """Yield the outcomes that the document demands."""
    for name, operation in operations(document):
        requirements = operation.get("security", document.get("security", []))
        for kind in KINDS:
            yield (name, kind), outcome(requirements, kind)


def outcome(requirements: list[Any], kind: str) -> int:
    """Return the outcome of these requirements."""
    if not requirements or {} in requirements:
        return PASSED
    if kind == "none":
        return 401
    granted = set((VALID[kind] or "").split())
    accepted = any(set(scopes) <= granted for requirement in requirements for scopes in requirement.values())
    return PASSED if accepted else 403


def test_the_security_of_the_document_is_that_of_the_service(
    secured_document: dict[str, Any], observed: Outcomes
) -> None:
    assert dict(demanded(secured_document)) == observed


def test_every_change_of_the_security_is_noticed(
    secured_document: dict[str, Any], observed: Outcomes, capsys
) -> None:
    changed = {
        name: mutant
        for name, mutant in mutants(secured_document)
        if name.partition(": ")[2].startswith("security")
    }

    survivors = {name for name, mutant in changed.items() if dict(demanded(mutant)) == observed}

    with capsys.disabled():
        print(f"\nmutants of security: {len(changed) - len(survivors)} of {len(changed)} caught")
    assert len(changed) >= FEWEST
    assert survivors == set()
