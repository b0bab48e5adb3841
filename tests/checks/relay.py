"""A relay in front of PostgreSQL, which may end TLS and change what the server says."""

import asyncio
import re
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple, Self

from anyio.from_thread import start_blocking_portal

SSL_REQUEST_BYTES = 8


class Change(NamedTuple):
    """A pattern in what the server sends, and its replacement of the same length."""

    pattern: bytes
    replacement: bytes


NOTHING = Change(rb"(?!)", b"")
PROCESS_ID = Change(rb"(K\0\0\0\x0c).{4}", b"\\g<1>\0\0\0\1")
"""What a connection pooler does, which invents them (BackendKeyData, PostgreSQL's documentation, 54.7)."""
VERSION = Change(rb"(server_version\0)\d\d", rb"\g<1>14")
"""An old server."""


class Relay:
    """Passes connections on to a port of 127.0.0.1."""

    def __init__(self, target: int, change: Change, tls: ssl.SSLContext | None) -> None:
        self._target, self._change, self._tls = target, change, tls
        self._served = set[asyncio.Task[None]]()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Refuse new connections, and wait for the end of the others."""
        self._server.close()
        await asyncio.gather(*self._served)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._served.add(asyncio.current_task())
        if self._tls:
            await reader.readexactly(SSL_REQUEST_BYTES)
            writer.write(b"S")
            await writer.start_tls(self._tls)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        with closing(writer), closing(far_writer):
            await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            writer.write(re.sub(*self._change, piece, flags=re.DOTALL))
        writer.close()


@contextmanager
def relay(target: int, change: Change = NOTHING, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Yield the port of a relay, which runs in another thread."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Relay(target, change, tls)) as running,
    ):
        yield running.port
