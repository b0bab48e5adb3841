"""The log of requests: one line for each, written together with others a moment later."""

import asyncio
import atexit
import logging
from collections.abc import Mapping
from typing import Any, Final

from users_api.observability.formats import Format
from users_api.observability.line_writer import LineWriter
from users_api.observability.requests import EndedRequest, clock_offset

FLUSH_SECONDS: Final = 0.02
"""A killed process loses the lines of this time. Many requests share the cost of a write."""

logger: Final = logging.getLogger(__name__)


class RequestLog:
    """Formats and writes the lines of requests, if the level of this module's logger admits them."""

    def __init__(self, line_format: Format, writer: LineWriter) -> None:
        """Write lines of this format; what is left is written when the process exits."""
        self._format, self._writer = line_format, writer
        self._ended: list[tuple[str, Mapping[str, Any], int, int, int, int]] = []
        atexit.register(self.write)

    def add(self, request: tuple[str, Mapping[str, Any], int, int, int, int]) -> None:
        """Log a request soon, given as the fields of an EndedRequest; needs a running event loop."""
        if not self._ended:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.write)
        self._ended.append(request)

    def write(self) -> None:
        """Write the lines of the requests that have ended."""
        ended, self._ended = self._ended, []
        offset, levels = clock_offset(), _enabled_levels()
        requests = map(EndedRequest._make, ended)
        lines = (self._format.request_line(each, offset) for each in requests if each.level in levels)
        self._writer.write(*lines)


def _enabled_levels() -> frozenset[str]:
    levels = {"info": logging.INFO, "error": logging.ERROR}
    return frozenset(name for name, level in levels.items() if logger.isEnabledFor(level))
