"""Reports each statement to the program, which may also mark it with a comment."""

from time import perf_counter_ns
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext

START: Final = "users_api.start"
"""Key in a connection's `info` of when its statement began, in nanoseconds.

It is removed at the end: a prepared statement that fails reports itself, and `fail` must not do so again.
"""


Report = tuple[tuple[str, str, str], int]
"""A statement that has ended: its first word, its table if there is only one, its failure's SQLSTATE or else
class, and its duration in nanoseconds."""


class StatementObserver(Protocol):
    """Marks each statement, and receives a report when it has ended."""

    def comment(self) -> str:
        """Return what is appended to the next statement: an SQL comment after a space, or nothing."""

    def end(self, report: Report, /) -> object:
        """Report a statement that has ended."""


def observe_statements(engine: Engine, observer: StatementObserver) -> None:
    """Report the statements of an engine, those that are prepared and those that SQLAlchemy executes."""

    def begin(connection: Connection, _cursor: Any, sql: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        connection.info[START] = perf_counter_ns()
        return sql + observer.comment(), parameters

    def end(connection: Connection, _cursor: Any, sql: str, *_: Any) -> None:
        start = connection.info.pop(START)
        observer.end(((_first_word(sql), "", ""), perf_counter_ns() - start))

    def fail(failure: ExceptionContext) -> None:
        if failure.connection and failure.statement and (start := failure.connection.info.pop(START, None)):
            kind = _first_word(failure.statement), "", failure_name(failure.original_exception)
            observer.end((kind, perf_counter_ns() - start))

    pool: Any = engine.pool
    pool.observer = observer
    event.listen(engine, "before_cursor_execute", begin, retval=True)
    event.listen(engine, "after_cursor_execute", end)
    event.listen(engine, "handle_error", fail)


def failure_name(error: BaseException) -> str:
    """Return the SQLSTATE of a failure, or the name of its class if it has none."""
    return getattr(error, "pgcode", None) or type(error).__name__


def _first_word(sql: str) -> str:
    return sql.split(maxsplit=1)[0].upper()
