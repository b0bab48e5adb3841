"""Pages in another order than that of the primary key, which also read only the rows they return.

An index on boolean columns, a sort expression and the key holds the rows of each combination of the booleans
as one range in this order. A page merges the first rows of these ranges.
"""

from collections.abc import Sequence
from itertools import product
from operator import ge, gt, le, lt
from typing import Any, NamedTuple

from sqlalchemy import Select, Table, bindparam, false, select, true, tuple_, union_all


class Sort(NamedTuple):
    """An order of a table that an index on `columns`, `expression` and then the primary key delivers.

    Its statements have the parameters `place` and `start`, the expression and the key at which a page starts,
    `end`, the last value of the expression, and `more`, the largest number of rows. Each row has the value of
    the expression as `sort`.
    """

    table: Table
    columns: Sequence[Any]
    expression: Any

    def choices(self, filters: Sequence[str]) -> list[tuple[Any, ...]]:
        """Return the boolean values of each range: the parameter of a filter, otherwise both values."""
        each = (
            [bindparam(column.name, type_=column.type)] if column.name in filters else [true(), false()]
            for column in self.columns
        )
        return list(product(*each))

    def ranges(self, filters: Sequence[str], dialect: str, *, descending: bool) -> list[Select[Any]]:
        """Return the statements of all ranges; `filters` are the boolean columns with a parameter."""
        build = self.equal if dialect == "sqlite" else self.range
        return [part for values in self.choices(filters) for part in build(values, descending=descending)]

    def range(self, values: Sequence[Any], *, descending: bool) -> list[Select[Any]]:
        """Return the statement that PostgreSQL can only execute as a range of the index: see `pages`."""
        first, *rest = values
        before = [select(first).scalar_subquery(), *rest]
        order = [*self.columns, self.expression, *self.table.primary_key]
        since, until = (le, ge) if descending else (ge, le)
        start, end = (
            [*before, self._parameter("place"), bindparam("start")],
            [*before, self._parameter("end")],
        )
        rows = self._rows().where(
            since(tuple_(*order), tuple_(*start)), until(tuple_(*order[:-1]), tuple_(*end))
        )
        return [_page(rows, order, descending=descending)]

    def equal(self, values: Sequence[Any], *, descending: bool) -> list[Select[Any]]:
        """Return two statements for SQLite, which compares rows with an index only if they are all columns.

        The first is for the rows at `place`, the other for those after it.
        """
        (key,) = self.table.primary_key
        since, behind, until = (le, lt, ge) if descending else (ge, gt, le)
        place, end = self._parameter("place"), self._parameter("end")
        equal = (column == value for column, value in zip(self.columns, values, strict=True))
        rows = self._rows().where(*equal)
        at = rows.where(self.expression == place, since(key, bindparam("start")), until(place, end))
        after = rows.where(behind(self.expression, place), until(self.expression, end))
        return [_page(each, [self.expression, key], descending=descending) for each in (at, after)]

    def _rows(self) -> Select[Any]:
        return select(self.table, self.expression.label("sort"))

    def _parameter(self, name: str) -> Any:
        return bindparam(name, type_=self.expression.type)


def merge(table: Table, ranges: Sequence[Any], *, descending: bool) -> Select[Any]:
    """Return the statement for the first `more` rows of all ranges, which have no row in common."""
    (key,) = table.primary_key
    # SQLite accepts the order and the limit of a part of a union only in a subquery.
    found = union_all(*(select(each.subquery()) for each in ranges)).subquery()
    return _page(select(found), [found.c.sort, found.c[key.name]], descending=descending)


def _page(rows: Select[Any], order: Sequence[Any], *, descending: bool) -> Select[Any]:
    ordered = (each.desc() if descending else each for each in order)
    return rows.order_by(*ordered).limit(bindparam("more"))
