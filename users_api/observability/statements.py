"""What a database reports of each statement."""

from typing import Any

from users_api.observability.instruments import STATEMENT_DURATION
from users_api.observability.recorder import Recorder
from users_api.observability.request_ids import current_request_id


class ReportedStatements:
    """Measures statements, and marks them with the id of their request, so that PostgreSQL's log names it."""

    def __init__(self, dialect: str, recorder: Recorder) -> None:
        """Mark only statements for PostgreSQL: SQLite has no log, and caches statements by their text."""
        self._is_marked = dialect == "postgresql"
        self._durations = recorder.histogram(STATEMENT_DURATION, lambda key: (dialect, *key))

    def comment(self) -> str:
        """Return the comment for a statement of the current request; empty outside of requests."""
        request_id = current_request_id.get() if self._is_marked else b""
        return f" /*request_id='{request_id.decode()}'*/" if request_id else ""

    def end(self, operation: str, table: str, nanoseconds: int, error: BaseException | None) -> None:
        """Count a statement, with the SQLSTATE or the class of its failure."""
        failure = "" if error is None else _error_type(error)
        self._durations.record(nanoseconds, (operation, table, failure))


def _error_type(error: Any) -> str:
    return getattr(error, "pgcode", None) or type(error).__name__
