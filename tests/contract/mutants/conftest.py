"""Fixtures: the document, the service in all its states, and the responses of the table."""

import pytest

from tests.contract.mutants.exchanges import stage as open_stage
from tests.contract.mutants.judge import DocumentChecker
from tests.contract.mutants.resolution import resolved
from tests.contract.mutants.table import fill
from tests.support.excerpt import excerpt
from users_api.document import OPEN, Parts, load_document


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all-mutants", action="store_true", help="Try all mutants of the document instead of a sample."
    )


@pytest.fixture(scope="session")
def document():
    """The original document of a service with AUTH=none, as far as the mutants of this suite cover it."""
    return excerpt(load_document(OPEN), {"health", "users"})


@pytest.fixture(scope="session")
def secured_document():
    """The document of a service with AUTH=required, as far as the tables of this suite cover it."""
    return excerpt(load_document(Parts(rate_limits=False)))


@pytest.fixture(scope="session")
def stage(postgres):
    with open_stage(postgres) as opened:
        yield opened


@pytest.fixture(scope="session")
def secured_stage(postgres):
    with open_stage(postgres, secured=True) as opened:
        yield opened


@pytest.fixture(scope="session")
def filled(stage, document):
    """The request and the response of each cell of the table."""
    return fill(stage, resolved(document))


@pytest.fixture(scope="session")
def judge(stage, document, filled):
    return DocumentChecker(stage, document, filled)


@pytest.fixture(scope="session")
def secured_filled(secured_stage, secured_document):
    """The same with AUTH=required."""
    return fill(secured_stage, resolved(secured_document))
