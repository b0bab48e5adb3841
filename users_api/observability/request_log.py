"""The log of requests: one line for each."""

import logging
from collections.abc import Sequence
from typing import Final

from users_api.observability.formats import Format
from users_api.observability.line_writer import LineWriter
from users_api.observability.requests import SERVER_ERROR, Ended, clock_offset

logger: Final = logging.getLogger(__name__)


class RequestLog:
    """Formats and writes the lines of requests, if the level of this module's logger admits them."""

    def __init__(self, line_format: Format, writer: LineWriter) -> None:
        """Write lines of this format."""
        self._format, self._writer = line_format, writer

    def write(self, requests: Sequence[Ended]) -> None:
        """Write the lines of requests that have ended."""
        if not logger.isEnabledFor(logging.INFO):
            requests = [each for each in requests if each[1].status >= SERVER_ERROR]
        if requests and logger.isEnabledFor(logging.ERROR):
            self._writer.write(self._format.request_lines(requests, clock_offset()))
