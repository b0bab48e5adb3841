"""An issuer of access tokens on 127.0.0.1, whose responses tests replace by hostile ones."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

import orjson
from anyio.from_thread import start_blocking_portal
from joserfc import jwt
from joserfc.jwk import ECKey, Key, RSAKey

from tests.support.postgres import free_port

METADATA = "/.well-known/oauth-authorization-server"
OPENID_METADATA = "/.well-known/openid-configuration"
JWKS = "/jwks"
ALGORITHMS = {"EC": "ES256", "RSA": "RS256"}
DRIP_SECONDS = 1

Respond = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def content(body: bytes, *headers: str, status: str = "200 OK") -> Respond:
    """Return a response with this body, after which the connection stays open until the client closes it."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "\r\n")
        writer.write("\r\n".join(lines).encode("latin-1") + body)
        await reader.read()

    return respond


def document(value: Any, *headers: str) -> Respond:
    """Return a response with a JSON document."""
    return content(orjson.dumps(value), "Content-Type: application/json", *headers)


def raw(text: bytes) -> Respond:
    """Return a response of these bytes, after which the connection is closed; of none, a disconnection."""

    async def respond(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text)

    return respond


def repeated(piece: bytes, seconds: float) -> Respond:
    """Return an endless response of pieces, with a pause after each."""

    async def respond(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(seconds)

    return respond


async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Send nothing until the client gives up."""
    await reader.read()


NOT_FOUND = content(b"", status="404 Not Found")
BROKEN = content(b"", status="500 Internal Server Error")
DISCONNECT = raw(b"")
DRIP = repeated(b" ", DRIP_SECONDS)
FLOOD = repeated(b" " * 65536, 0)


class ControlledIssuer:
    """Serves metadata and keys inside `async with`, or inside `with in_thread(issuer)`, and mints tokens."""

    def __init__(self, path: str = "", *, tls: ssl.SSLContext | None = None) -> None:
        """Choose a port; the path is that of the issuer's URL."""
        self.port, self._tls = free_port(), tls
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}{path}"
        self.key = new_key()
        """The key that signs tokens."""
        self.keys: list[Key] = [self.key]
        """The keys that are published."""
        self.headers: tuple[str, ...] = ()
        """Additional header lines of the key set."""
        self.everywhere: Respond | None = None
        """Replaces all responses."""
        self.responses: dict[str, Respond] = {}
        """Replaces the responses of paths."""
        self.requests: list[str] = []
        """The paths that were requested."""
        self.heads: list[bytes] = []
        """The heads of these requests."""
        self.times: list[float] = []
        """When they arrived, by the event loop's clock."""
        self.connections: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        """The open connections."""

    def forget_requests(self) -> None:
        """Count from zero."""
        for each in (self.requests, self.heads, self.times):
            each.clear()

    def rotate(self, key: Key | None = None) -> None:
        """Sign with a new key from now on, and publish no other."""
        self.key = key or new_key()
        self.keys = [self.key]

    def mint(self, **claims: Any) -> str:
        """Return an access token (RFC 9068); a claim that is None is left out."""
        now = int(time.time())
        header = {"typ": "at+jwt", "alg": ALGORITHMS[self.key.key_type], "kid": self.key.thumbprint()}
        defaults = {
            "iss": self.url,
            "aud": "users-api",
            "sub": "client",
            "client_id": "client",
            "iat": now,
            "exp": now + 300,
            "jti": f"{time.time_ns()}",
        }
        chosen = {name: value for name, value in (defaults | claims).items() if value is not None}
        return jwt.encode(header, chosen, self.key, algorithms=[header["alg"]])

    def key_set(self) -> dict[str, Any]:
        """Return the published keys (RFC 7517)."""
        documents = [{**key.as_dict(private=False), "kid": key.thumbprint()} for key in self.keys]
        return {"keys": [{**each, "use": "sig", "alg": ALGORITHMS[each["kty"]]} for each in documents]}

    def metadata(self, **differences: Any) -> dict[str, Any]:
        """Return the metadata (RFC 8414, 2)."""
        return {"issuer": self.url, "jwks_uri": self.origin + JWKS} | differences

    @property
    def origin(self) -> str:
        """The URL without its path."""
        return "/".join(self.url.split("/")[:3])

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections, and refuse new ones."""
        self._server.close()
        for writer in self.connections:
            writer.transport.abort()
        await asyncio.gather(*self.connections.values())

    def _response(self, path: str) -> Respond:
        own = document(self.key_set(), *self.headers) if path == JWKS else document(self.metadata())
        return self.everywhere or self.responses.get(path, own)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections[writer] = asyncio.current_task()
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._respond(reader, writer)
        del self.connections[writer]
        writer.close()

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split()[1].decode()
        self.requests.append(path)
        self.heads.append(head)
        self.times.append(asyncio.get_running_loop().time())
        await self._response(path)(reader, writer)


def new_key() -> Key:
    """Return a new key for ES256."""
    return ECKey.generate_key("P-256")


def new_rsa_key() -> Key:
    """Return a new key for RS256."""
    return RSAKey.generate_key(2048)


@contextmanager
def in_thread(issuer: ControlledIssuer) -> Iterator[ControlledIssuer]:
    """Serve from another thread."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(issuer):
        yield issuer
