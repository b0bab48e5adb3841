"""The plans of lists: a page reads only the rows it returns, also where the filters depend on each other."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import text

from tests.support.postgres import PostgreSQL
from users_api.app import create_flask_app
from users_api.database import db, transaction
from users_api.handlers import users

ROWS = 30_000
LIMIT = 10
FILTERS = [
    {name: value for name, value in zip(("username", "active", "email"), values, strict=True) if value != ""}
    for values in product(("", "same", "user77", "absent"), ("", True, False), ("", "77@example.org"))
]
# Every second user is active and has one name; no inactive user has it.
INSERT = """
    INSERT INTO users (username, email, active)
    SELECT CASE number % 2 WHEN 0 THEN 'same' ELSE 'user' || number END,
           number || '@example.org', number % 2 = 0
    FROM generate_series({first}, {last}) number
"""


@pytest.fixture(scope="module", params=["no statistics", "old statistics", "new statistics"])
def planned(postgres: PostgreSQL, request: pytest.FixtureRequest) -> Iterator[Flask]:
    """The application with many users, which PostgreSQL has never counted, or when there were few, or now."""
    with postgres.temporary("plans") as url:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("APP_SETTINGS", "users_api.config.TestingConfig")
            environment.setenv("DATABASE_TEST_URL", url)
            app = create_flask_app()
        with app.app_context():
            upgrade()
            with transaction() as connection:
                connection.execute(text("ALTER TABLE users SET (autovacuum_enabled = false)"))
                connection.execute(text(INSERT.format(first=1, last=ROWS // 100)))
                if request.param == "old statistics":
                    connection.execute(text("ANALYZE users"))
                connection.execute(text(INSERT.format(first=ROWS // 100 + 1, last=ROWS)))
                if request.param == "new statistics":
                    connection.execute(text("ANALYZE users"))
            yield app
            db.engine.dispose()


def page_plan(explain: str, filters: dict[str, Any], after: int) -> list[Any]:
    """Return the plan of the statement that the handler executes."""
    values = {**filters, "after": after, "more": LIMIT + 1}
    with transaction() as connection:
        statement = users._page_statement(connection.dialect.name, *filters)  # noqa: SLF001 -- the handler's own.
        page = statement.params(**values).compile(connection)
        names = page.positiontup
        given = page.params if names is None else tuple(page.params[name] for name in names)
        return list(connection.exec_driver_sql(f"{explain} {page}", given).all())


def rows_read(plan: dict[str, Any]) -> int:
    """Return how many rows the plan has read from the table, also those that it did not return."""
    read = sum(map(rows_read, plan.get("Plans", ())))
    if "Relation Name" in plan:
        removed = sum(value for name, value in plan.items() if name.startswith("Rows Removed by"))
        read += round((plan["Actual Rows"] + removed) * plan["Actual Loops"])
    return read


@pytest.mark.parametrize("after", [0, ROWS // 2, ROWS - 3])
@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_a_page_reads_only_its_rows(planned: Flask, filters: dict[str, Any], after: int) -> None:
    with planned.app_context():
        (((plan,),),) = page_plan("EXPLAIN (ANALYZE, FORMAT JSON)", filters, after)

    ranges = 2 if filters.keys() == {"username"} else 1
    assert rows_read(plan["Plan"]) <= ranges * (LIMIT + 1), plan


@pytest.mark.parametrize(
    ("filters", "searches"),
    [
        ({}, ["INTEGER PRIMARY KEY (rowid>?)"]),
        ({"email": "a"}, ["INDEX uq_users_email (<expr>=?)"]),
        ({"active": True}, ["INDEX ix_users_active_id (active=? AND id>?)"]),
        (
            {"username": "a", "active": True},
            ["INDEX ix_users_username_active_id (username=? AND active=? AND id>?)"],
        ),
        (
            {"username": "a"},
            ["INDEX ix_users_username_active_id (username=? AND active=? AND id>?)"] * 2,
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_sqlite_searches_an_index_for_all_filters(
    app: Any, filters: dict[str, Any], searches: list[str]
) -> None:
    with app.app.app_context():
        steps = [row[-1] for row in page_plan("EXPLAIN QUERY PLAN", filters, after=1)]

    assert [step for step in steps if "users" in step] == [f"SEARCH users USING {each}" for each in searches]
