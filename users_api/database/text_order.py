"""Texts that both databases fold and compare identically: by the bytes of UTF-8, ignoring the case of ASCII.

SQLite knows the case of ASCII letters only. PostgreSQL's `lower` and its order depend on the locale of the
database, except with the collation C.
"""

from typing import Any, Final

from sqlalchemy import String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

LAST_CHARACTER: Final = "\U0010ffff"


class ascii_lower(FunctionElement[str]):  # noqa: N801 -- it is used as a function, as SQLAlchemy's own are.
    """The SQL function that lowercases the letters A to Z of a text column, and no others."""

    type = String()
    inherit_cache = True


@compiles(ascii_lower)
def _lower(element: Any, compiler: Any, **options: Any) -> str:
    return f"lower({compiler.process(element.clauses, **options)})"


@compiles(ascii_lower, "postgresql")
def _lower_in_collation_c(element: Any, compiler: Any, **options: Any) -> str:
    return f'lower({compiler.process(element.clauses, **options)} COLLATE "C")'


def fold(text: str) -> str:
    """Return the text as `ascii_lower` does."""
    return text.encode().lower().decode()


def last_with_prefix(prefix: str, length: int) -> str:
    """Return a text that follows every text of at most `length` characters with this prefix."""
    return prefix + LAST_CHARACTER * length
