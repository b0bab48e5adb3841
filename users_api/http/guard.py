"""The gate before Connexion: path, method, size, arrival and media type, where stock Connexion answers 500 or has no limit."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from users_api.errors import BodyTimeout, BodyTooLarge, MethodNotAllowed, PathNotFound, UnsupportedMediaType

LARGEST_BODY: Final = 1024 * 1024
BODY_SECONDS: Final = 10
MEDIA_TYPE: Final = "application/json"
JSON: Final = re.compile(MEDIA_TYPE + r'[ \t]*+(;[ \t]*+(charset=(utf-?8|"utf-?8")[ \t]*+)?)*+', re.ASCII | re.IGNORECASE)
METHODS: Final = frozenset({"get", "put", "post", "delete", "patch"})
ID: Final = re.compile(r"[1-9][0-9]{0,15}")
NO_ID: Final = "0"


class Path(NamedTuple):
    """A path of the document, cut where its id stands, with its methods and those of them that take a body."""

    before: str
    after: str
    methods: frozenset[str]
    with_body: frozenset[str]

    @property
    def allow(self) -> str:
        """The value of the `Allow` header."""
        return ", ".join(sorted(self.methods))


class Guard:
    """Lets a request through only if the document has its path and method; its body comes whole, bounded and typed.

    Raises:
        Failed: one of its subclasses names what is wrong; the exception middleware outside answers it.
    """

    def __init__(self, app: ASGIApp, document: Mapping[str, Any]) -> None:
        """Compile the document's paths."""
        self.app = app
        paths = {template: _compile(template, operations) for template, operations in document["paths"].items()}
        self._exact = {template: path for template, path in paths.items() if "{" not in template}
        self._templates = [path for template, path in paths.items() if "{" in template]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the request, then pass it on with its body in one message."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path, scope = self._route(scope)
        if scope["method"] not in path.methods:
            raise MethodNotAllowed(path.allow)
        headers = Headers(scope=scope)
        body = await _read(headers, receive)
        if body is None:
            return
        if scope["method"] in path.with_body and (body or "content-type" in headers):
            _check_media_type(headers)
            scope = {**scope, "headers": [*_without_media_type(scope), (b"content-type", MEDIA_TYPE.encode())]}
        await self.app(scope, _replay(body, receive), send)

    def _route(self, scope: Scope) -> tuple[Path, Scope]:
        """Return the path and the scope; an id that no user can have becomes `0`, which none has either.

        So such a request meets the same checks in the same order as one for any other user that does not exist.
        An encoded slash does not separate (RFC 3986, 2.2).
        """
        name = scope["path"]
        if b"%2f" not in scope["raw_path"].lower():
            if path := self._exact.get(name):
                return path, scope
            for path in self._templates:
                identifier = name.removeprefix(path.before).removesuffix(path.after)
                if identifier and "/" not in identifier and name == path.before + identifier + path.after:
                    canonical = name if ID.fullmatch(identifier) else path.before + NO_ID + path.after
                    return path, {**scope, "path": canonical}
        raise PathNotFound


def _compile(template: str, operations: Mapping[str, Any]) -> Path:
    before, _, rest = template.partition("{")
    methods = {method.upper() for method in METHODS.intersection(operations)}
    with_body = {method for method in methods if "requestBody" in operations[method.lower()]}
    head = {"HEAD"} if "GET" in methods else set()
    return Path(before, rest.partition("}")[2], frozenset(methods | head), frozenset(with_body))


async def _read(headers: Headers, receive: Receive) -> bytes | None:
    """Return the whole body, or None when the caller is gone.

    Raises:
        BodyTooLarge: it is over the limit by its Content-Length or, chunked, by what arrived.
        BodyTimeout: it did not arrive in time.
    """
    length = headers.get("content-length", "0")
    if "transfer-encoding" not in headers and length.isdecimal():  # Another length says nothing; servers refuse it before this.
        if int(length[:20]) > LARGEST_BODY:
            raise BodyTooLarge
        if not int(length[:20]):
            return b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _receive(receive)
    except TimeoutError:
        raise BodyTimeout(BODY_SECONDS) from None


async def _receive(receive: Receive) -> bytes | None:
    chunks = bytearray()
    more_body = True
    while more_body:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks += message.get("body", b"")
        more_body = message.get("more_body", False)
        if len(chunks) > LARGEST_BODY:
            raise BodyTooLarge
    return bytes(chunks)


def _check_media_type(headers: Headers) -> None:
    """Raise UnsupportedMediaType unless the body is JSON in UTF-8, not compressed, and says so once."""
    media_types = headers.getlist("content-type")
    if len(media_types) != 1 or not JSON.fullmatch(media_types[0]) or any(headers.getlist("content-encoding")):
        raise UnsupportedMediaType


def _without_media_type(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return the other headers: Connexion finds no schema for `Application/JSON`, so it gets to see the usual spelling."""
    return [(name, value) for name, value in scope["headers"] if name != b"content-type"]


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a channel that gives the body in one message, then whatever comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
