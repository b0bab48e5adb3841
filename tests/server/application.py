"""A minimal ASGI application, and gunicorn's configuration for it."""

import os
from collections.abc import Sized
from mmap import mmap
from typing import Any

from users_api.server.configuration import ServerOptions, gunicorn_settings
from users_api.server.observer import OPERATION, Report
from users_api.server.slots import MAX_SLOTS

counts = memoryview(mmap(-1, 8 * MAX_SLOTS)).cast("Q")
slot = 0


class Counter:
    """Counts the requests of each slot, in memory that the workers share."""

    headers = frozenset[bytes]()

    def connect(self, _tasks: Sized) -> None:
        """Ignore connections."""

    def disconnect(self) -> None:
        """Ignore connections."""

    def choose_id(self, _scope: Any, _found: Any) -> bytes:
        return b"id"

    def begin(self, _request_id: bytes) -> None:
        """Wait for the end."""

    def end(self, request: Report) -> None:
        counts[slot] += request[1] == "/"

    def reject(self, _found: Any, _status: int, _body_bytes: int) -> bytes:
        return b"id"


def start(number: int) -> None:
    """Count in this slot from now on."""
    global slot  # noqa: PLW0603 -- a module is all that gunicorn knows.
    slot = number


ended = memoryview(mmap(-1, MAX_SLOTS))


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Respond with the number of requests and of workers that have exited, or with the worker's process."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    scope[OPERATION] = scope["path"]
    body = b"%d" % (
        os.getpid() if scope["path"] == "/" else sum(counts if scope["path"] == "/counts" else ended)
    )
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
    )
    await send({"type": "http.response.body", "body": body})


def end(number: int) -> None:
    """Count the workers that have exited."""
    ended[number] += 1


options = ServerOptions(
    port=int(os.environ["TEST_PORT"]), observer=Counter(), on_worker_start=start, on_worker_exit=end
)
globals().update(gunicorn_settings(options))
