"""Request ids: one for each request, in its log lines, its statements and its response."""

import os
import re
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from itertools import count
from secrets import token_hex
from typing import Final

ACCEPTED: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")
PREFIX_BYTES: Final = 8

current_request_id: Final[ContextVar[bytes]] = ContextVar("request_id", default=b"")
"""The id of the request that the current task serves; empty outside of requests."""


class RequestIds:
    """New ids: random for each process, and then counted."""

    new: Callable[[], bytes]
    """Returns an id that no other request of any process has."""

    def __init__(self) -> None:
        """Start a sequence, and another one in each process that is forked."""
        self._start()
        os.register_at_fork(after_in_child=self._start)

    def _start(self) -> None:
        prefix = token_hex(PREFIX_BYTES).encode()
        self.new = map((prefix + b"-%x").__mod__, count(1)).__next__


def accepted_id(offered: Sequence[bytes]) -> bytes | None:
    """Return the only id that a client offers, if it is safe in logs, SQL and headers."""
    return offered[0] if len(offered) == 1 and ACCEPTED.fullmatch(offered[0]) else None
