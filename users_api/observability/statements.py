"""What a database reports of each statement."""

from users_api.observability.request_ids import current_request_id


class ReportedStatements:
    """Marks the statements of a request with its id, so that the log of PostgreSQL names it."""

    def __init__(self, dialect: str) -> None:
        """Mark only statements for PostgreSQL: SQLite has no log, and caches statements by their text."""
        self._is_marked = dialect == "postgresql"

    def comment(self) -> str:
        """Return the comment for a statement of the current request; empty outside of requests."""
        request_id = current_request_id.get() if self._is_marked else ""
        return f" /*request_id='{request_id}'*/" if request_id else ""

    def end(self, operation: str, table: str, nanoseconds: int, error: BaseException | None) -> None:
        """Take the report of a statement."""
