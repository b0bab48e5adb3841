"""Request ids: one for each request, in its log lines, its statements and its response."""

import os
import re
from collections.abc import Sequence
from contextvars import ContextVar
from itertools import count
from secrets import token_hex
from typing import Final

ACCEPTED: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")
PREFIX_BYTES: Final = 8

current_request_id: Final[ContextVar[str]] = ContextVar("request_id", default="")
"""The id of the request that the current task serves; empty outside of requests."""


class RequestIds:
    """Returns the id that a client has sent, or a new one: random for each process, and then counted."""

    def __init__(self) -> None:
        """Start a sequence, and another one in each process that is forked."""
        self._start()
        os.register_at_fork(after_in_child=self._start)

    def _start(self) -> None:
        self._prefix, self._numbers = token_hex(PREFIX_BYTES), count(1)

    def choose(self, offered: Sequence[bytes]) -> str:
        """Return the only id that a client offers, if it is safe in logs, SQL and headers; or a new one."""
        if len(offered) == 1 and ACCEPTED.fullmatch(offered[0]):
            return offered[0].decode("ascii")
        return f"{self._prefix}-{next(self._numbers):x}"
