"""gunicorn's configuration of this service without logs of requests and without metrics."""

from collections.abc import Sequence, Sized
from dataclasses import replace
from typing import Any

from users_api import app
from users_api.config import load_settings
from users_api.observability.request_ids import RequestIds, current_request_id
from users_api.rate_limits.window_table import shared_window_table
from users_api.server.configuration import gunicorn_settings
from users_api.server.observer import Report
from users_api.serving import server_options


class Names:
    """Gives each request an id, which its response and its statements have, and reports nothing."""

    headers: frozenset[bytes] = frozenset()

    def __init__(self) -> None:
        """Start a sequence of ids."""
        self._ids = RequestIds()
        self.begin = current_request_id.set

    def connect(self, tasks: Sized) -> None:
        """Ignore connections."""

    def disconnect(self) -> None:
        """Ignore connections."""

    def choose_id(self, scope: Any, found: Sequence[tuple[bytes, bytes]]) -> bytes:  # noqa: ARG002 -- as the protocol says.
        """Return a new id."""
        return self._ids.new()

    def end(self, request: Report) -> None:
        """Ignore a request that has ended."""

    def reject(self, found: Sequence[tuple[bytes, bytes]], status: int, body_bytes: int) -> bytes:  # noqa: ARG002 -- likewise.
        """Return a new id."""
        return self._ids.new()


app._measure = lambda engine: None  # noqa: ARG005, SLF001 -- no setting turns the metrics off.
shared_window_table()
globals().update(gunicorn_settings(replace(server_options(load_settings()), observer=Names())))
