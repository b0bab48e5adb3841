"""The plans of lists: a page reads only the rows it returns, also where the filters depend on each other."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import text

from tests.support.postgres import PostgreSQL
from users_api.app import create_flask_app
from users_api.database import db, transaction
from users_api.handlers.user_orders import Place
from users_api.handlers.user_queries import read_order

ROWS = 30_000
LIMIT = 10
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
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


def page_plan(
    explain: str, query: dict[str, Any], place: Place | None, *, descending: bool = False
) -> list[Any]:
    """Return the plan of the statement that the handler executes."""
    order = read_order(query)
    values = {**order.values(place, descending=descending), "more": LIMIT + 1}
    with transaction() as connection:
        page = order.statement(descending=descending).params(**values).compile(connection)
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


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("after", [0, ROWS // 2, ROWS - 3])
@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_a_page_reads_only_its_rows(
    planned: Flask, filters: dict[str, Any], after: int, *, descending: bool
) -> None:
    with planned.app_context():
        (((plan,),),) = page_plan(
            "EXPLAIN (ANALYZE, FORMAT JSON)", filters, Place(after), descending=descending
        )

    ranges = 2 if filters.keys() == {"username"} else 1
    assert rows_read(plan["Plan"]) <= ranges * (LIMIT + 1), plan


DATE = datetime.now(UTC) + timedelta(days=1)
SEARCHES: list[tuple[dict[str, Any], list[Place | None], int]] = [
    ({"q": "s"}, [None, Place(ROWS // 2, "same"), Place(ROWS, "same")], 2),
    ({"q": "same"}, [None, Place(ROWS // 2, "same"), Place(ROWS, "same")], 5),
    ({"q": "user"}, [None, Place(77, "user77"), Place(1, "userz")], 5),
    ({"q": "user29999"}, [None, Place(29999, "user29999"), Place(1, "user29999z")], 10),
    ({"q": "29999"}, [None, Place(29999, "29999@example.org"), Place(1, "29999z")], 6),
    ({"q": "2"}, [None, Place(77, "2500@example.org"), Place(1, "2z")], 2),
    ({"q": "unknown"}, [None, Place(77, "unknown1")], 7),
    ({"q": "u" * 64}, [None], 65),
    ({"order": "created_date"}, [None, Place(ROWS // 2, DATE), Place(0, LONG_AGO)], 1),
    ({"created_after": "2999-01-01T00:00:00Z"}, [None], 1),
    ({"created_before": "2999-01-01T00:00:00Z"}, [None, Place(77, LONG_AGO)], 1),
]


@pytest.mark.parametrize("active", [{}, {"active": True}, {"active": False}], ids=str)
@pytest.mark.parametrize(("query", "places", "ranges"), SEARCHES, ids=str)
def test_a_page_in_another_order_reads_only_the_first_rows_of_its_ranges(
    planned: Flask, query: dict[str, Any], active: dict[str, bool], places: list[Place | None], ranges: int
) -> None:
    explain = "EXPLAIN (ANALYZE, FORMAT JSON)"
    with planned.app_context():
        plans = [
            page_plan(explain, query | active, place, descending=descending)
            for place, descending in product(places, (False, True))
        ]

    most = ranges * (1 if active else 2) * (LIMIT + 1)
    assert [plan for (((plan,),),) in plans if rows_read(plan["Plan"]) > most] == []


@pytest.mark.parametrize(
    ("filters", "searches"),
    [
        (
            {"order": "-created_date", "active": True},
            [
                "INDEX ix_users_active_created_date_id (active=? AND created_date=? AND id>?)",
                "INDEX ix_users_active_created_date_id (active=? AND created_date>? AND created_date<?)",
            ],
        ),
        (
            {"q": "a", "active": True},
            [
                "INDEX ix_users_active_lower_username_id (active=? AND <expr>=? AND id>?)",
                "INDEX ix_users_active_lower_username_id (active=? AND <expr>>? AND <expr><?)",
                "INDEX uq_users_email (<expr>=?)",
                "INDEX uq_users_email (<expr>>? AND <expr><?)",
            ],
        ),
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
        steps = [row[-1] for row in page_plan("EXPLAIN QUERY PLAN", filters, None)]

    assert [step for step in steps if "users" in step] == [f"SEARCH users USING {each}" for each in searches]
