"""Runs the functional tests through PgBouncer: `pytest -p tests.resilience.pooled tests/functional`."""

from collections.abc import Iterator

import pytest

from tests.resilience.proxies import pgbouncer

EXCLUDED = {
    "test_waiting_for_a_lock_times_out": (
        "PgBouncer does not forward the service's timeout; the role's applies"
    ),
    "test_waiting_for_an_unresponsive_database_times_out": (
        "connecting is immediate, because PgBouncer accepts it"
    ),
    "test_a_read_only_connection_is_replaced": "PgBouncer keeps the read-only session",
}


@pytest.fixture(scope="session", autouse=True)
def through_pgbouncer(request: pytest.FixtureRequest) -> Iterator[None]:
    """Put PgBouncer in transaction mode in front of the tests' PostgreSQL.

    As a parameter, `postgres` would become a fixture of every test, which hides the tests that need it.
    """
    with pytest.MonkeyPatch.context() as environment, pgbouncer(request.getfixturevalue("postgres")):
        environment.delenv("DATABASE_TEST_URL", raising=False)
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests that need no PostgreSQL, or that PgBouncer makes impossible."""
    needing = [item for item in items if "postgres" in item.fixturenames or "postgresql" in item.name]
    names = {item.originalname for item in needing}
    assert set(EXCLUDED) <= names, "these are gone"
    kept = [item for item in needing if item.originalname not in EXCLUDED]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the deselected tests."""
    for name, reason in EXCLUDED.items():
        terminalreporter.write_line(f"deselected: {name}: {reason}")
