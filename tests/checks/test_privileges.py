"""What the role may do, each privilege missing in turn; the advice is followed literally."""

import re
from collections.abc import Callable

import pytest

from tests.checks.outcome import NEWEST, Deployment, Outcome
from users_api.checks.privileges import PRIVILEGES
from users_api.database import db

Check = Callable[..., Outcome]
STATEMENT = re.compile(r" run (.*;)$", re.IGNORECASE)
EACH = [(table, privilege) for table, privileges in PRIVILEGES.items() for privilege in privileges]


def advised(outcome: Outcome, place: str) -> str:
    """Return the statement of the only advice."""
    (advice,) = outcome.advice(place)
    return STATEMENT.search(advice)[1]


def test_a_role_with_the_privileges_of_the_service_is_enough(check: Check, deployment: Deployment) -> None:
    found = check(DATABASE_URL=deployment.url)

    assert found["database.privileges"] == [
        ("ok", f"the role {deployment.role} may read and change all tables")
    ]
    assert found.report["ok"] is True


@pytest.mark.parametrize(("table", "privilege"), EACH)
def test_a_missing_privilege_is_named_and_the_advice_grants_it(
    check: Check, deployment: Deployment, table: str, privilege: str
) -> None:
    deployment.run(f"REVOKE {privilege} ON {table} FROM {deployment.role}")

    found = check(DATABASE_URL=deployment.url)

    assert found["database.privileges"] == [("problem", f"{deployment.role} lacks {privilege} on {table}")]
    deployment.run(advised(found, "database.privileges"))
    assert check(DATABASE_URL=deployment.url).report["ok"] is True


def test_a_sequence_that_is_a_default_needs_its_own_privilege(check: Check, deployment: Deployment) -> None:
    deployment.run(
        "ALTER TABLE users ALTER id DROP IDENTITY; CREATE SEQUENCE numbers OWNED BY users.id;"
        "ALTER TABLE users ALTER id SET DEFAULT nextval('numbers')"
    )

    found = check(DATABASE_URL=deployment.url)

    assert found["database.privileges"] == [
        ("problem", f"{deployment.role} lacks USAGE on the sequence numbers")
    ]
    deployment.run(advised(found, "database.privileges"))
    assert check(DATABASE_URL=deployment.url).report["ok"] is True


def test_the_function_of_searches_needs_its_privilege(check: Check, deployment: Deployment) -> None:
    function = "users_common_prefix(text, text)"
    deployment.run(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")

    found = check(DATABASE_URL=deployment.url)

    assert found["database.privileges"] == [
        ("problem", f"{deployment.role} lacks EXECUTE on the function {function}")
    ]
    deployment.run(advised(found, "database.privileges"))
    assert check(DATABASE_URL=deployment.url).report["ok"] is True


def test_a_missing_table_is_named(check: Check, deployment: Deployment) -> None:
    deployment.run("DROP TABLE clients")

    found = check(DATABASE_URL=deployment.url)

    assert found["database.privileges"] == [("problem", "the table clients does not exist")]
    assert found["database.migration"] == [("ok", f"{NEWEST}, the newest")]


def test_privileges_need_tables(check: Check, deployment: Deployment) -> None:
    deployment.run("DROP TABLE users, clients, imports, alembic_version")

    found = check(DATABASE_URL=deployment.url)

    assert found["database.migration"] == [("problem", f"none; the newest is {NEWEST}")]
    assert found["database.privileges"] == [
        ("not_checked", "there are no tables, or the role lacks USAGE on their schema")
    ]


def test_every_table_has_its_privileges() -> None:
    assert PRIVILEGES.keys() == {*db.metadata.tables, "alembic_version"}
