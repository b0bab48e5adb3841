"""What the server reports of each request to the program."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

REQUEST_ID: Final = b"x-request-id"


class Observer(Protocol):
    """Names each request, and receives a report when it has ended."""

    def connect(self) -> None:
        """Report a new connection."""

    def disconnect(self) -> None:
        """Report a connection that has ended."""

    def choose_id(self, offered: Sequence[bytes]) -> str:
        """Return the id of a request whose headers X-Request-ID have these values, usually none."""

    def begin(self, request_id: str) -> None:
        """Begin a request in the task that serves it."""

    def end(
        self, request_id: str, scope: Mapping[str, Any], status: int, body_bytes: int, nanoseconds: int
    ) -> None:
        """Report a request that has ended; the status is 0 if the client disconnected before the response."""

    def reject(self, request_id: str, scope: Mapping[str, Any], status: int, body_bytes: int) -> None:
        """Report a request that the server has rejected, and that the application never sees.

        The scope may have neither a method nor a path.
        """


def request_id_line(request_id: str) -> bytes:
    """Return the header line that tells the client the id of its request."""
    return f"x-request-id: {request_id}\r\n".encode("ascii")
