"""Responses: a status, headers and a body, which may be a stream; those of Werkzeug and Starlette become one.

Werkzeug's `Response._on_close` is the only private name used: no public name tells whether closing has any
effect.
"""

import json
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Iterable,
)
from contextlib import aclosing, suppress
from contextvars import Context, copy_context
from functools import partial
from inspect import isawaitable
from typing import Any, Final, cast

import anyio
import orjson
from connexion.jsonifier import wrap_default
from flask import request
from flask.json.provider import DefaultJSONProvider
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response as StarletteResponse
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send
from werkzeug.wrappers import Response as WerkzeugResponse

RawHeaders = list[tuple[bytes, bytes]]
Stream = Iterable[bytes | str] | AsyncIterable[bytes | str]
OK: Final = 200
NO_CONTENT: Final = 204
NOT_MODIFIED: Final = 304
CONTENT_TYPE: Final = b"content-type"
CONTENT_LENGTH: Final = b"content-length"
JSON: Final = "application/json"
JSON_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
NEVER_DISCONNECTS: Final = cast("Receive", anyio.sleep_forever)  # A client that sends nothing more.
_default: Final = partial(wrap_default(lambda _provider, value: DefaultJSONProvider.default(value)), None)


class ReturnValueError(TypeError):
    """A handler returned a value that cannot be sent; the message has the operationId and the reason."""


def dumps(value: Any) -> bytes:
    """Return JSON with Connexion's conversions of dates, Decimal, UUID and dataclasses.

    The standard library writes what orjson cannot: keys that are not strings, integers beyond 64 bits.

    Raises:
        TypeError, ValueError, RecursionError: the value is not JSON.
    """
    try:
        return orjson.dumps(value, _default, JSON_OPTIONS)
    except TypeError:
        return json.dumps(value, default=_default, allow_nan=False, separators=(",", ":")).encode()


class Response:
    """An HTTP response; a handler that returns one skips every conversion.

    Names of headers are in lower case. Content-Length is that of the body; it is removed for statuses without
    a body. A streamed body is closed at the end, and then `close`, which may be async, is called.
    """

    __slots__ = ("body", "close", "headers", "status")

    def __init__(
        self,
        status: int,
        headers: RawHeaders,
        body: bytes | Stream = b"",
        close: Callable[[], Any] | None = None,
    ) -> None:
        """Store the parts; the list of headers is copied."""
        self.status, self.headers, self.body, self.close = status, headers, body, close
        if status < OK or status == NO_CONTENT or status == NOT_MODIFIED:  # noqa: PLR1714, SIM109 -- faster; RFC 9110, 6.4.1
            self._drop_body()
        elif type(body) is bytes:
            length = CONTENT_LENGTH, b"%d" % len(body)
            for header in headers:
                if header[0] == CONTENT_LENGTH:
                    self.headers = (
                        list(headers)
                        if header == length
                        else [*without_header(headers, CONTENT_LENGTH), length]
                    )
                    return
            self.headers = [*headers, length]

    def _drop_body(self) -> None:
        self.headers = without_header(without_header(self.headers, CONTENT_LENGTH), CONTENT_TYPE)
        self.close = self.close or close_function(self.body)
        self.body = b""

    @classmethod
    def json(cls, value: Any, status: int = OK, headers: Iterable[tuple[bytes, bytes]] = ()) -> "Response":
        """Return a JSON response; raises the same exceptions as `dumps`."""
        return cls(status, [(CONTENT_TYPE, b"application/json"), *headers], dumps(value))

    async def send(self, scope: Scope, send: Send, receive: Receive = NEVER_DISCONNECTS) -> None:
        """Send the response, without its body for HEAD; `receive` reports a disconnect during a stream."""
        if type(self.body) is not bytes or self.close is not None:
            await self._send_and_close(scope, send, receive)
            return
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else self.body})

    async def _send_and_close(self, scope: Scope, send: Send, receive: Receive) -> None:
        context = copy_context()
        try:
            if type(self.body) is bytes or scope["method"] == "HEAD":
                whole = self.body if type(self.body) is bytes and scope["method"] != "HEAD" else b""
                await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
                await send({"type": "http.response.body", "body": whole})
            else:
                await self._stream(scope, send, receive, context)
        finally:
            await self._close(context)

    async def _stream(self, scope: Scope, send: Send, receive: Receive, context: Context) -> None:
        async with aclosing(self._chunks(context)) as chunks:
            streaming = StreamingResponse(chunks, self.status)
            streaming.raw_headers = self.headers
            with suppress(ClientDisconnect):
                await streaming(scope, receive, send)

    async def _chunks(self, context: Context) -> AsyncGenerator[bytes, None]:
        """Yield the body; iterators that may block run in a thread pool."""
        body = self.body
        async for chunk in body if isinstance(body, AsyncIterable) else _iterate(body, context):
            if not isinstance(chunk, str | bytes | bytearray | memoryview):
                message = f"a stream yielded {describe_type(chunk)}"
                raise ReturnValueError(message)
            yield chunk.encode() if isinstance(chunk, str) else bytes(chunk)

    async def _close(self, context: Context) -> None:
        """Close in the stream's context, in which Flask's `stream_with_context` must exit what it entered."""
        with anyio.CancelScope(shield=True):
            for close in (close_function(self.body), self.close):
                if close is not None and isawaitable(result := await run_in_threadpool(context.run, close)):
                    await result

    async def collect(self) -> "Response":
        """Return the response with its whole body."""
        if type(self.body) is bytes:
            return self
        context = copy_context()
        try:
            async with aclosing(self._chunks(context)) as chunks:
                body = b"".join([chunk async for chunk in chunks])
        finally:
            await self._close(context)
        return Response(self.status, self.headers, body)


async def _iterate(body: Iterable[Any], context: Context) -> AsyncGenerator[Any, None]:
    """Yield the iterator's items, each fetched in a thread pool."""
    iterator, end = iter(body), object()
    following = partial(context.run, lambda: next(iterator, end))
    while (chunk := await run_in_threadpool(following)) is not end:
        yield chunk


class DelegatedResponse(Response):
    """A response that Starlette itself sends: files, ranges, streams, background tasks."""

    __slots__ = ("_application",)

    def __init__(self, application: StarletteResponse) -> None:
        """Store the response; its body is unknown until it is sent."""
        self.status, self.headers, self.body, self.close = (
            application.status_code,
            application.raw_headers,
            (),
            None,
        )
        self._application = application

    async def send(self, scope: Scope, send: Send, receive: Receive = NEVER_DISCONNECTS) -> None:
        """Let Starlette send it."""

        async def send_bodiless(message: Message) -> None:
            await send({**message, "body": b""} if "body" in message else message)

        await self._application(scope, receive, send_bodiless if scope["method"] == "HEAD" else send)

    async def collect(self) -> Response:
        """Return the response that a client without a Range header would get."""
        messages: list[Message] = []

        async def record(message: Message) -> None:
            messages.append(message)

        scope = {"type": "http", "method": "GET", "headers": [], "asgi": {"spec_version": "2.4"}}
        await self._application(scope, NEVER_DISCONNECTS, record)
        body = b"".join(message.get("body", b"") for message in messages)
        return Response(messages[0]["status"], messages[0]["headers"], body)


def from_werkzeug(response: WerkzeugResponse) -> Response:
    """Convert a Flask or Werkzeug response as it would be sent for GET."""
    environ = request.environ if response.autocorrect_location_header else {}
    headers = [
        (name.lower().encode("latin-1"), value.strip().encode("latin-1"))
        for name, value in response.get_wsgi_headers(environ)
    ]
    if response.is_streamed or response.direct_passthrough:
        chunks: Any = response.response if response.direct_passthrough else response.iter_encoded()
        return Response(response.status_code, headers, chunks, response.close)
    body = b"".join(response.iter_encoded())
    close = response.close if response._on_close else None  # noqa: SLF001 -- see the module's docstring.
    return Response(response.status_code, headers, body, close)


def from_starlette(response: StarletteResponse) -> Response:
    """Convert a Starlette response; any body other than bytes is sent by Starlette itself."""
    if type(response).__call__ is not StarletteResponse.__call__ or response.background is not None:
        return DelegatedResponse(response)
    return Response(response.status_code, response.raw_headers, bytes(response.body))


def close_function(body: Any) -> Callable[[], Any] | None:
    """Return the function that closes a body, which may be async, or None if there is none."""
    closer: Callable[[], Any] | None = getattr(body, "aclose", None) or getattr(body, "close", None)
    return closer


def without_header(headers: RawHeaders, name: bytes) -> RawHeaders:
    """Return the headers except for those of this name, which is in lower case."""
    return [header for header in headers if header[0] != name]


def describe_type(value: Any) -> str:
    """Return a description of the value for messages, which never contain the value itself."""
    return f"a value of type {type(value).__name__}"
