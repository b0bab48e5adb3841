"""What the server reports of each request to the program."""

from collections.abc import Sequence, Sized
from typing import Any, Final, Protocol

DISCONNECTED: Final = 0
"""The status of a request whose client disconnected before the response."""


OPERATION: Final = "operation"
"""Key in the scope under which the application may store what serves the request."""
CLAIMS: Final = "token_info"
"""Key in the scope under which the application may store what an access token says of the client."""

Report = tuple[bytes, Any, str, str, int, int, int, int, Any]
"""The id of a request, its operation if there is one, its method and scheme, the status that was sent, the
size of the body in bytes, the start and the end in nanoseconds on the clock of `perf_counter_ns`, and what
an access token says of the client if there is one.

The rest of the scope is left out: it would keep all objects of a request in memory for longer.
"""


class Observer(Protocol):
    """Names each request, and receives a report when it has ended."""

    @property
    def headers(self) -> frozenset[bytes]:
        """The names of the headers that `choose_id` needs, in lower case."""

    def connect(self, tasks: Sized) -> None:
        """Report a new connection; `tasks` are those of all requests that the process works on."""

    def disconnect(self) -> None:
        """Report a connection that has ended."""

    def choose_id(self, scope: Any, found: Sequence[tuple[bytes, bytes]]) -> bytes:
        """Return the id of a request, which its response has as X-Request-ID.

        `found` are those of its headers that are in `headers`, usually none.
        """

    def begin(self, request_id: bytes, /) -> object:
        """Begin a request in the task that serves it."""

    def end(self, request: Report, /) -> None:
        """Report a request that has ended."""

    def reject(self, found: Sequence[tuple[bytes, bytes]], status: int, body_bytes: int) -> bytes:
        """Report a request that the application never sees, and return its id."""
