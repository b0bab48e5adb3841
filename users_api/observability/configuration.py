"""Puts the parts together: the format of the logs, and what the server reports to."""

import logging
import os
from typing import TYPE_CHECKING, Final

from users_api.observability.formats import Format, TextFormat
from users_api.observability.json_format import JsonFormat
from users_api.observability.line_handler import LineHandler
from users_api.observability.line_writer import LineWriter
from users_api.observability.observer import RequestObserver, TracedRequests
from users_api.observability.recorder import shared_recorder
from users_api.observability.repeats import RepeatFilter, add_request_id
from users_api.observability.request_log import RequestLog

if TYPE_CHECKING:
    from users_api.observability.tracing import Tracing

FORMATS: Final = ("json", "text")
LEVELS: Final = ("debug", "info", "warning", "error")
STANDARD_OUTPUT: Final = 1
PACKAGE: Final = __name__.partition(".")[0]


class Logs:
    """The logs of a process, all of them on standard output."""

    def __init__(self, name: str) -> None:
        """Write them in one of FORMATS."""
        text = TextFormat(colored=os.isatty(STANDARD_OUTPUT))
        self._format: Format = JsonFormat() if name == "json" else text
        self._writer = LineWriter(STANDARD_OUTPUT)

    def handler(self) -> logging.Handler:
        """Return the handler for all loggers, which leaves out repetitions."""
        handler = LineHandler(self._writer)
        handler.setFormatter(self._format.formatter())
        handler.filters = [add_request_id, RepeatFilter(handler)]
        return handler

    def observer(self, tracing: "Tracing | None" = None) -> RequestObserver:
        """Return what the server reports each request to."""
        log = RequestLog(self._format, self._writer)
        if tracing is None:
            return RequestObserver(shared_recorder(), log)
        return TracedRequests(shared_recorder(), log, tracing)

    def configure(self, level: str) -> None:
        """Let all loggers write to standard output, where no server configures them."""
        logging.root.handlers = [self.handler()]
        logging.getLogger(PACKAGE).setLevel(level.upper())
