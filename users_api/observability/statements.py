"""What a database reports of each statement."""

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from users_api.observability.instruments import STATEMENT_DURATION
from users_api.observability.recorder import Recorder
from users_api.observability.request_ids import current_request_id
from users_api.observability.traced_ids import span_of, trace_parent

if TYPE_CHECKING:
    from users_api.observability.tracing import Tracing


class ReportedStatements:
    """Measures statements, and marks them with the id of their request, so that PostgreSQL's log names it."""

    def __init__(self, dialect: str, recorder: Recorder) -> None:
        """Mark only statements for PostgreSQL: SQLite has no log, and caches statements by their text."""
        self._is_marked = dialect == "postgresql"
        durations = recorder.histogram(STATEMENT_DURATION, lambda key: (dialect, *key))
        self._record_soon = durations.record_soon

    def comment(self) -> str:
        """Return the comment for a statement of the current request; empty outside of requests."""
        request_id = current_request_id.get()
        return f" /*request_id='{request_id.decode()}'*/" if request_id and self._is_marked else ""

    def end(self, operation: str, table: str, nanoseconds: int, error: BaseException | None) -> None:
        """Count a statement, with the SQLSTATE or the class of its failure."""
        failure = "" if error is None else _error_type(error)
        self._record_soon(((operation, table, failure), nanoseconds))


class TracedStatements(ReportedStatements):
    """Does the same, and traces the statements of requests that are traced."""

    def __init__(self, dialect: str, recorder: Recorder, tracing: "Tracing") -> None:
        """Trace with this tracer."""
        super().__init__(dialect, recorder)
        self._tracing, self._dialect = tracing, dialect

    def comment(self) -> str:
        """Return the comment, which also names the request's span (sqlcommenter's `traceparent`)."""
        comment, parent = super().comment(), span_of(current_request_id.get())
        return f"{comment[:-2]},traceparent='{trace_parent(parent)}'*/" if comment and parent else comment

    def end(self, operation: str, table: str, nanoseconds: int, error: BaseException | None) -> None:
        """Count and trace a statement."""
        super().end(operation, table, nanoseconds, error)
        if parent := span_of(current_request_id.get()):
            end = perf_counter_ns()
            attributes = {
                "db.system.name": self._dialect,
                "db.operation.name": operation,
                "db.collection.name": table,
                "db.query.summary": f"{operation} {table}".strip(),
                "error.type": "" if error is None else _error_type(error),
                "db.response.status_code": getattr(error, "pgcode", None) or "",
            }
            known = {name: value for name, value in attributes.items() if value}
            self._tracing.record_statement(parent, known, end - nanoseconds, end)


def _error_type(error: Any) -> str:
    return getattr(error, "pgcode", None) or type(error).__name__
