"""Front ends and back ends with a chosen framing: what accepts ambiguous requests, or misreads valid ones."""

import re
import socket
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from io import BufferedReader
from threading import Lock, Thread

from tests.desync.readings import Framing, read_head
from tests.support.raw_http import Stream, read_response

SECONDS = 20
TYPE = re.compile(rb"^content-type:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)


class FrontEnd:
    """Forwards requests unchanged, each in its turn, on one connection that all clients share."""

    def __init__(self, target: int, framing: Framing) -> None:
        self._target, self._framing, self._turn = target, framing, Lock()
        self._connection: socket.socket | None = None

    def exchange(self, client: BufferedReader) -> HTTPResponse:
        """Read a client's request, forward it, and return the response."""
        head = read_head(client)
        request = head + self._framing(head, client)[0]
        with self._turn:
            is_reused = self._connection is not None
            try:
                response = self._forward(request)
            except (OSError, HTTPException):
                self._disconnect()
                if not is_reused:
                    raise
                response = self._forward(request)
            if response.headers["connection"] == "close":
                self._disconnect()
            return response

    def _forward(self, request: bytes) -> HTTPResponse:
        if self._connection is None:
            self._connection = socket.create_connection(("127.0.0.1", self._target), timeout=SECONDS)
            self._stream = Stream(self._connection.makefile("rb", buffering=0))
        self._connection.sendall(request)
        return read_response(self._stream, request.split(None, 1)[0].decode("latin-1"))

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._stream.raw.close()
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Close the connection to the back end."""
        with self._turn:
            self._disconnect()


class BackEnd:
    """Passes what it takes for a request on to the service, with a correct framing."""

    def __init__(self, target: int, framing: Framing) -> None:
        self._target, self._framing = target, framing

    def exchange(self, client: BufferedReader) -> HTTPResponse:
        """Read a request, pass it on, and return the response."""
        head = read_head(client)
        body = self._framing(head, client)[1]
        method, target, *_ = head.decode("latin-1").split()
        types = TYPE.search(head)
        headers = {"Content-Type": types[1].decode("latin-1")} if types else {}
        connection = HTTPConnection("127.0.0.1", self._target, timeout=SECONDS)
        try:
            connection.request(method, target, body or None, headers)
            response = connection.getresponse()
            response.body = response.read()
        finally:
            connection.close()
        return response

    def close(self) -> None:
        """Keep nothing open between requests."""


class Handler(socketserver.BaseRequestHandler):
    """Serves one client until it closes the connection, or sends what is no request at all."""

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with (
            suppress(OSError, HTTPException, ValueError, EOFError, IndexError),
            self.request.makefile("rb") as client,
        ):
            while True:
                self.request.sendall(_message(self.server.exchange(client)))


def _message(response: HTTPResponse) -> bytes:
    kept = [f"{name}: {value}" for name, value in response.headers.items() if name == "content-type"]
    length = f"content-length: {response.headers.get('content-length', len(response.body))}"
    lines = [f"HTTP/1.1 {response.status} {response.reason}", *kept, length, "", ""]
    return "\r\n".join(lines).encode("latin-1") + response.body


class Server(socketserver.ThreadingTCPServer):
    """Serves an exchange on an unused port."""

    daemon_threads, request_queue_size = True, 64

    def __init__(self, end: FrontEnd | BackEnd) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.exchange = end.exchange


@contextmanager
def serving(end: FrontEnd | BackEnd) -> Iterator[int]:
    """Serve in threads; yield the port."""
    with Server(end) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
            end.close()
