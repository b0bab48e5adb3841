"""Pages in the order of the primary key that read only the rows they return, whatever the planner estimates.

For `WHERE name = … ORDER BY id LIMIT …` a planner that expects too many matching rows walks the primary key
and skips all others, and one that expects too few sorts all of them. So a page is a range of one index, and
only that index delivers the range in its order.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from operator import ge, le
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Select,
    Table,
    bindparam,
    false,
    select,
    true,
    tuple_,
    union_all,
)


def select_page(
    table: Table, filters: Sequence[str], dialect: str, *, descending: bool = False
) -> Select[Any]:
    """Return the statement for the first `more` rows whose key is at least `start`, or descending at most.

    Each filter is a column and a parameter. With an index on exactly these columns and then the primary key,
    at most `more` rows are read, twice as many for each further boolean column of the index. Without such an
    index the planner chooses.
    """
    (key,) = table.primary_key
    index = next((each for each in page_indexes(table) if _serves(each, filters)), None)
    if index is None:
        columns = [table.c[name] for name in filters]
        return _equal(select(table), [*columns, key], [*map(_parameter, columns)], descending=descending)
    choices = ([_parameter(each)] if each.name in filters else [false(), true()] for each in index)
    build = _equal if dialect == "sqlite" else _range
    order = [*index, key]
    ranges = [
        build(select(table), order, list(values), descending=descending) for values in product(*choices)
    ]
    if len(ranges) == 1:
        return ranges[0]
    # SQLite accepts the order and the limit of a part of a union only in a subquery.
    found = union_all(*(select(each.subquery()) for each in ranges)).subquery()
    return _first(select(found), [found.c[key.name]], descending=descending)


def page_indexes(table: Table) -> Iterator[list[Column[Any]]]:
    """Yield the columns before the primary key of each index that ends with it, the fewest first."""
    (key,) = table.primary_key
    yield []  # The primary key's own index.
    found: list[list[Any]] = [list(index.expressions) for index in table.indexes]
    paged = (each[:-1] for each in found if each[-1] is key)
    yield from sorted((each for each in paged if all(isinstance(one, Column) for one in each)), key=len)


def _serves(index: Sequence[Column[Any]], filters: Sequence[str]) -> bool:
    """Return whether the index has a column for each filter, and beyond them only boolean ones."""
    needed = {each.name for each in index if each.name in filters or not isinstance(each.type, Boolean)}
    return needed == set(filters)


def _equal(
    rows: Select[Any], order: Sequence[Any], values: Sequence[Any], *, descending: bool
) -> Select[Any]:
    """Return the statement as a person writes it; SQLite prefers the index with the most equal columns."""
    *columns, key = order
    equal = (column == value for column, value in zip(columns, values, strict=True))
    since = le if descending else ge
    return _first(rows.where(*equal, since(key, bindparam("start"))), [key], descending=descending)


def _range(
    rows: Select[Any], order: Sequence[Any], values: Sequence[Any], *, descending: bool
) -> Select[Any]:
    """Return the statement that PostgreSQL can only execute as a range of the index, or by sorting all rows.

    PostgreSQL estimates a comparison of rows by their first value. A subquery hides that value, so that the
    estimate is a fixed share of the table: only a table that is not much larger than a page is sorted.
    """
    *columns, key = order
    since, until = (le, ge) if descending else (ge, le)
    first, *rest = [*values, _parameter(key, "start")]
    hidden = select(first).scalar_subquery()
    rows = rows.where(since(tuple_(*order), tuple_(hidden, *rest)))
    if columns:
        rows = rows.where(until(tuple_(*columns), tuple_(hidden, *rest[:-1])))
    return _first(rows, order, descending=descending)


def _first(rows: Select[Any], order: Sequence[Any], *, descending: bool) -> Select[Any]:
    ordered = (each.desc() if descending else each for each in order)
    return rows.order_by(*ordered).limit(bindparam("more"))


def _parameter(column: Column[Any], name: str = "") -> Any:
    return bindparam(name or column.name, type_=column.type)
