"""Lets the functional tests reach PostgreSQL through PgBouncer: `pytest -p tests.resilience.pooled tests/functional`."""

from collections.abc import Iterator

import pytest

from tests.resilience.proxies import pgbouncer

EXCLUDED = {
    "test_a_lock_is_waited_for_so_long": "the service's own time-out does not reach PostgreSQL, the role's does",
    "test_a_database_that_does_not_answer_is_waited_for_so_long": "connecting takes no time: PgBouncer answers",
    "test_a_database_that_refuses_to_write_is_left_for_another_try": "PgBouncer keeps the session that refuses to write",
}


@pytest.fixture(scope="session", autouse=True)
def through_pgbouncer(request: pytest.FixtureRequest) -> Iterator[None]:
    """PgBouncer in transaction mode before the tests' own PostgreSQL.

    As a parameter `postgres` would be a fixture of every test, and tell no more which of them need it.
    """
    with pytest.MonkeyPatch.context() as environment, pgbouncer(request.getfixturevalue("postgres")):
        environment.delenv("DATABASE_TEST_URL", raising=False)
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs no PostgreSQL, and what cannot have a pooler before it."""
    needing = [item for item in items if "postgres" in item.fixturenames or "postgresql" in item.name]
    names = {item.originalname for item in needing}
    assert set(EXCLUDED) <= names, "these are gone"
    kept = [item for item in needing if item.originalname not in EXCLUDED]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was left out."""
    for name, reason in EXCLUDED.items():
        terminalreporter.write_line(f"left out: {name}: {reason}")
