"""What a database reports of each statement."""

import re
from collections.abc import Callable
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final

from users_api.observability.instruments import STATEMENT_DURATION
from users_api.observability.recorder import Recorder
from users_api.observability.request_ids import current_request_id
from users_api.observability.traced_ids import span_of, trace_parent

if TYPE_CHECKING:
    from users_api.observability.tracing import Tracing

Report = tuple[tuple[str, str, str], int]
"""What a database reports of a statement: its first word, its table, its failure's SQLSTATE or else class,
and its duration in nanoseconds."""
SQLSTATE: Final = re.compile(r"[0-9A-Z]{5}")


class ReportedStatements:
    """Measures statements, and marks them with the id of their request, so that PostgreSQL's log names it."""

    def __init__(self, dialect: str, recorder: Recorder) -> None:
        """Mark only statements for PostgreSQL: SQLite has no log, and caches statements by their text."""
        self._is_marked = dialect == "postgresql"
        durations = recorder.histogram(STATEMENT_DURATION, lambda key: (dialect, *key))
        self.end = durations.record_soon

    end: Callable[[Report], None]
    """Counts a statement that has ended."""

    def comment(self) -> str:
        """Return the comment for a statement of the current request; empty outside of requests."""
        request_id = current_request_id.get()
        return f" /*request_id='{request_id.decode()}'*/" if request_id and self._is_marked else ""


class TracedStatements(ReportedStatements):
    """Does the same, and traces the statements of requests that are traced."""

    def __init__(self, dialect: str, recorder: Recorder, tracing: "Tracing") -> None:
        """Trace with this tracer."""
        super().__init__(dialect, recorder)
        self._tracing, self._dialect, self._count = tracing, dialect, self.end
        self.end = self._count_and_trace

    def comment(self) -> str:
        """Return the comment, which also names the request's span (sqlcommenter's `traceparent`)."""
        comment, parent = super().comment(), span_of(current_request_id.get())
        return f"{comment[:-2]},traceparent='{trace_parent(parent)}'*/" if comment and parent else comment

    def _count_and_trace(self, report: Report) -> None:
        self._count(report)
        if parent := span_of(current_request_id.get()):
            (operation, table, failure), nanoseconds = report
            end = perf_counter_ns()
            attributes = {
                "db.system.name": self._dialect,
                "db.operation.name": operation,
                "db.collection.name": table,
                "db.query.summary": f"{operation} {table}".strip(),
                "error.type": failure,
                "db.response.status_code": failure if SQLSTATE.fullmatch(failure) else "",
            }
            known = {name: value for name, value in attributes.items() if value}
            self._tracing.record_statement(parent, known, end - nanoseconds, end)
