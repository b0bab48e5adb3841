"""Pages hold the rows that match all filters in the order of their key, with an index and without one."""

from collections.abc import Callable, Iterator
from itertools import combinations, product
from typing import Any

import pytest
from sqlalchemy import Boolean, Column, Index, Integer, MetaData, String, Table, func, insert
from sqlalchemy.dialects import postgresql

from users_api.database import db, page_indexes, rows, select_page, transaction

metadata = MetaData()
parcels = Table(
    "parcels",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("city", String(20)),
    Column("paid", Boolean),
    Column("heavy", Boolean),
    Column("weight", Integer),
    Index("ix_parcels_city_paid_heavy_number", "city", "paid", "heavy", "number"),
    Index("ix_parcels_paid_number", "paid", "number"),
    Index("ix_parcels_weight", "weight"),
)
Index("ix_parcels_lower_city", func.lower(parcels.c.city), parcels.c.weight)
ROWS = [
    {"number": number, "city": city, "paid": paid, "heavy": heavy, "weight": number % 2}
    for number, (city, paid, heavy, _) in enumerate(
        product(("Oslo", "Rome"), (True, False), (True, False), range(3)), start=1
    )
]
FILTERS = {"city": "Rome", "paid": True, "heavy": False, "weight": 1}
COMBINATIONS = [names for length in range(5) for names in combinations(FILTERS, length)]


@pytest.fixture
def read(one: Callable[..., Any]) -> Iterator[Callable[..., list[int]]]:
    """Return the numbers on a page of the stored parcels."""

    def fill() -> None:
        with transaction() as connection:
            metadata.create_all(connection)
            connection.execute(insert(parcels), ROWS)

    def drop() -> None:
        with transaction() as connection:
            metadata.drop_all(connection)

    def page(filters: dict[str, Any], start: int, more: int, *, descending: bool) -> list[int]:
        statement = select_page(parcels, list(filters), db.engine.dialect.name, descending=descending)
        return [row.number for row in rows(statement, start=start, more=more, **filters)]

    one(fill)
    yield lambda *arguments, **options: one(lambda: page(*arguments, **options))
    one(drop)


def test_a_page_holds_the_first_rows_that_match(read: Callable[..., list[int]]) -> None:
    for names, start, more in product(COMBINATIONS, (0, 15, 16, 99), (1, 3, 99)):
        filters = {name: FILTERS[name] for name in names}
        matching = [
            row["number"] for row in ROWS if all(row[name] == value for name, value in filters.items())
        ]
        above, below = (
            [each for each in matching if each >= start],
            [each for each in matching if each <= start],
        )

        assert read(filters, start, more, descending=False) == above[:more], (filters, start, more)
        assert read(filters, start, more, descending=True) == below[::-1][:more], (filters, start, more)


def test_the_indexes_of_pages_end_with_the_key() -> None:
    names = [[column.name for column in columns] for columns in page_indexes(parcels)]

    assert names == [[], ["paid"], ["city", "paid", "heavy"]]


@pytest.mark.parametrize(
    ("filters", "ranges"),
    [((), 1), (("paid",), 1), (("heavy", "city", "paid"), 1), (("city",), 4), (("city", "heavy"), 2)],
)
def test_each_unknown_boolean_doubles_the_ranges(filters: tuple[str, ...], ranges: int) -> None:
    sql = str(select_page(parcels, filters, "postgresql").compile(dialect=postgresql.dialect()))

    assert sql.count(".number) >= (") == ranges


@pytest.mark.parametrize("filters", [("heavy",), ("weight",), ("weight", "city")])
def test_the_planner_chooses_where_no_index_has_all_filters(filters: tuple[str, ...]) -> None:
    sql = str(select_page(parcels, filters, "postgresql").compile(dialect=postgresql.dialect()))

    assert all(f"parcels.{name} = " in sql for name in filters)
