"""The handler of all loggers, which shares its writer with the log of requests."""

import logging

from users_api.observability.line_writer import LineWriter


class LineHandler(logging.Handler):
    """Writes records without blocking, among the lines of requests."""

    def __init__(self, writer: LineWriter) -> None:
        """Write with this writer."""
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            line = self.format(record).encode("utf-8", "backslashreplace")
        except Exception:  # noqa: BLE001 -- the arguments of a record may be anything.
            self.handleError(record)
            return
        self._writer.write(line + b"\n")
