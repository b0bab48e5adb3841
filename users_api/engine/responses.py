"""What is sent, and how the values that handlers return become it.

Whatever Connexion's FlaskApp accepts is accepted; `tests/engine/test_responses.py` has the table of deviations. The one that
shows most: JSON is written without whitespace and in the order of the keys, unless the program has a jsonifier of its own.
Werkzeug's `Response._on_close` is the only private name used: nothing public says whether closing has anything to do.
"""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Container, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import aclosing, suppress
from contextvars import Context, copy_context
from enum import Enum
from functools import lru_cache, partial
from inspect import isawaitable
from typing import Any, Final, NamedTuple, NoReturn, cast

import anyio
import orjson
from connexion.datastructures import NoContent
from connexion.exceptions import NonConformingResponseHeaders
from connexion.jsonifier import Jsonifier, wrap_default
from connexion.lifecycle import ConnexionResponse
from flask import request
from flask.json.provider import DefaultJSONProvider
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response as StarletteResponse
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send
from werkzeug.datastructures import Headers
from werkzeug.utils import get_content_type
from werkzeug.wrappers import Response as WerkzeugResponse

from users_api.engine.conformance import ByStatus, Conformance, Resolver
from users_api.engine.media_types import compile_range, is_json, parse_media_type
from users_api.engine.schemas import Schemas

RawHeaders = list[tuple[bytes, bytes]]
Stream = Iterable[bytes | str] | AsyncIterable[bytes | str]

OK: Final = 200
NO_CONTENT: Final = 204
NOT_MODIFIED: Final = 304
HIGHEST_STATUS: Final = 599
LOWEST_STATUS: Final = 100
CONTENT_TYPE: Final = b"content-type"
CONTENT_LENGTH: Final = b"content-length"
JSON: Final = "application/json"
HTML: Final = "text/html; charset=utf-8"  # Flask's default.
HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.1
FORBIDDEN: Final = re.compile(r"[\r\n\0]")  # RFC 9110, 5.5
JSON_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
CONNECTED: Final = cast("Receive", anyio.sleep_forever)  # A client of whom nothing more is heard.
JSON_ERRORS: Final = (TypeError, ValueError, RecursionError)

_default: Final = partial(wrap_default(lambda _provider, value: DefaultJSONProvider.default(value)), None)


class ReturnValueError(TypeError):
    """A handler returned what cannot be sent; the message has the operationId and the reason, never the value."""


def dumps(value: Any) -> bytes:
    """Return JSON with Connexion's conversions of dates, Decimal, UUID and dataclasses.

    What orjson cannot write (keys that are not strings, integers beyond 64 bits) the standard library does.

    Raises:
        TypeError, ValueError, RecursionError: the value is not JSON.
    """
    try:
        return orjson.dumps(value, _default, JSON_OPTIONS)
    except TypeError:
        return json.dumps(value, default=_default, allow_nan=False, separators=(",", ":")).encode()


class Response:
    """What is sent; a handler that returns one skips every conversion.

    Names of headers are in lower case. Content-Length is that of the body; statuses without a body lose theirs. A streamed
    body is closed at the end, and `close`, which may be async, is called then.
    """

    __slots__ = ("body", "close", "headers", "status")

    def __init__(
        self,
        status: int,
        headers: RawHeaders,
        body: bytes | Stream = b"",
        close: Callable[[], Any] | None = None,
    ) -> None:
        """Take the parts; the list of headers is copied."""
        self.status, self.headers, self.body, self.close = status, headers, body, close
        if status < OK or status == NO_CONTENT or status == NOT_MODIFIED:  # noqa: PLR1714, SIM109 -- faster; RFC 9110, 6.4.1
            self._drop_body()
        elif type(body) is bytes:
            length = CONTENT_LENGTH, b"%d" % len(body)
            for header in headers:
                if header[0] == CONTENT_LENGTH:
                    self.headers = list(headers) if header == length else [*_without(headers, CONTENT_LENGTH), length]
                    return
            self.headers = [*headers, length]

    def _drop_body(self) -> None:
        self.headers = _without(_without(self.headers, CONTENT_LENGTH), CONTENT_TYPE)
        self.close = self.close or _closer(self.body)
        self.body = b""

    @classmethod
    def json(cls, value: Any, status: int = OK, headers: Iterable[tuple[bytes, bytes]] = ()) -> "Response":
        """Return a JSON response; raises what `dumps` does."""
        return cls(status, [(CONTENT_TYPE, b"application/json"), *headers], dumps(value))

    async def send(self, scope: Scope, send: Send, receive: Receive = CONNECTED) -> None:
        """Send it, to HEAD without its body; `receive` lets a stream end when the client disconnects."""
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
                message = f"a stream yielded {_kind(chunk)}"
                raise ReturnValueError(message)
            yield chunk.encode() if isinstance(chunk, str) else bytes(chunk)

    async def _close(self, context: Context) -> None:
        """Close in the context of the stream: what Flask's `stream_with_context` entered there, it leaves there."""
        with anyio.CancelScope(shield=True):
            for close in (_closer(self.body), self.close):
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
    """Yield what an iterator yields in a thread pool."""
    iterator, end = iter(body), object()
    following = partial(context.run, lambda: next(iterator, end))
    while (chunk := await run_in_threadpool(following)) is not end:
        yield chunk


class DelegatedResponse(Response):
    """A response that Starlette sends itself: files and their ranges, streams, background tasks."""

    __slots__ = ("_application",)

    def __init__(self, application: StarletteResponse) -> None:
        """Take the response; its body is unknown until it is sent."""
        self.status, self.headers, self.body, self.close = application.status_code, application.raw_headers, (), None
        self._application = application

    async def send(self, scope: Scope, send: Send, receive: Receive = CONNECTED) -> None:
        """Let Starlette send it."""

        async def send_bodiless(message: Message) -> None:
            await send({**message, "body": b""} if "body" in message else message)

        await self._application(scope, receive, send_bodiless if scope["method"] == "HEAD" else send)

    async def collect(self) -> Response:
        """Return the response as a client would get it who asks for no range."""
        messages: list[Message] = []

        async def record(message: Message) -> None:
            messages.append(message)

        scope = {"type": "http", "method": "GET", "headers": [], "asgi": {"spec_version": "2.4"}}
        await self._application(scope, CONNECTED, record)
        body = b"".join(message.get("body", b"") for message in messages)
        return Response(messages[0]["status"], messages[0]["headers"], body)


def from_werkzeug(response: WerkzeugResponse) -> Response:
    """Return a Flask or Werkzeug response as it would be sent to GET."""
    environ = request.environ if response.autocorrect_location_header else {}
    headers = [
        (name.lower().encode("latin-1"), value.strip().encode("latin-1")) for name, value in response.get_wsgi_headers(environ)
    ]
    if response.is_streamed or response.direct_passthrough:
        chunks: Any = response.response if response.direct_passthrough else response.iter_encoded()
        return Response(response.status_code, headers, chunks, response.close)
    body = b"".join(response.iter_encoded())
    close = response.close if response._on_close else None  # noqa: SLF001 -- see the module's docstring.
    return Response(response.status_code, headers, body, close)


def from_starlette(response: StarletteResponse) -> Response:
    """Return a response of Starlette's; what is more than bytes, Starlette sends itself."""
    if type(response).__call__ is not StarletteResponse.__call__ or response.background is not None:
        return DelegatedResponse(response)
    return Response(response.status_code, response.raw_headers, bytes(response.body))


class MediaType(NamedTuple):
    """What Content-Type says of a body, and whether the body is JSON."""

    header: tuple[bytes, bytes]
    is_json: bool


class Offer:
    """The media types of one status: that of text, that of bytes and iterators, and that of any other value."""

    __slots__ = ("binary", "other", "text")

    def __init__(self, names: Iterable[str]) -> None:
        """Choose as Connexion does; a range stands for the plainest type that it covers."""
        names = list(dict.fromkeys(names))
        concrete = [name for name in names if "*" not in name]
        ranges = [compile_range(name.lower()) for name in names if "*" in name]

        def choose(wanted: str) -> MediaType | None:
            if len(names) == 1 == len(concrete):
                return _media_type(names[0])
            if wanted == JSON and len(names) != 1:
                return None
            found = [name for name in concrete if wanted in name]
            found += [wanted for each in ranges if each.fullmatch(wanted)]
            return _media_type(found[0]) if found else None

        self.text = choose("text/plain")
        self.binary = choose("application/octet-stream")
        self.other = choose(JSON)

    def find(self, value: Any) -> MediaType | None:
        """Return the media type for a value, None where the handler has to say it."""
        if isinstance(value, str):
            return self.text
        return self.binary if isinstance(value, bytes | bytearray | memoryview | Iterator | AsyncIterator) else self.other


class Responses:
    """The responses of one operation: converts what its handler returns, and validates it."""

    __slots__ = ("_conformance", "_covers", "_dumps", "_offers", "_operation_id", "_plain", "media_types")

    def __init__(  # noqa: PLR0913 -- each is a fact of its own, and all are named.
        self,
        definitions: Mapping[str, Mapping[str, Any]],
        pointer: str,
        *,
        document: Resolver,
        schemas: Schemas,
        jsonifier: Jsonifier | None = None,
        operation_id: str,
        strict: bool = True,
        validate: bool = False,
        validated_elsewhere: Container[str] = (),
    ) -> None:
        """Compile the Responses Object; no jsonifier means `dumps`.

        Raises:
            DocumentError: responses are to be validated, and one says something that cannot be.
        """
        resolved = {
            key: document.resolve(definition, f"{pointer}/{key}")
            for key, definition in definitions.items()
            if not key.startswith("x-")
        }
        content = {key: list(definition.get("content", {})) for key, (definition, _) in resolved.items()}
        self.media_types: list[str] = [name for names in content.values() for name in names]
        pool = Offer(self.media_types or [JSON])
        self._covers = [compile_range(_essence(name)) for name in self.media_types or [JSON]]
        self._offers = ByStatus({key: Offer(names) if names else pool for key, names in content.items()}, pool)
        self._dumps: Callable[[Any], bytes | str] = jsonifier.dumps if jsonifier else dumps
        self._operation_id = operation_id
        offered = self._offer(OK).other
        self._plain = [offered.header] if offered and offered.is_json else None
        self._conformance = (
            Conformance(
                resolved,
                pointer,
                document=document,
                schemas=schemas,
                operation_id=operation_id,
                strict=strict,
                elsewhere=validated_elsewhere,
            )
            if validate
            else None
        )

    def _offer(self, status: int) -> Offer:
        offer = self._offers.find(status)
        assert offer is not None  # noqa: S101 -- the table has a default.
        return offer

    async def validate(self, response: Response, *, head: bool = False) -> Response:
        """Return a response that conforms to the document, read to its end if that takes it.

        Raises:
            NonConformingResponseHeaders, NonConformingResponseBody: it does not conform.
        """
        if self._conformance is None:
            return response
        if type(response.body) is not bytes and self._conformance.needs_body(response.status, response.headers):
            response = await response.collect()
        body = response.body if type(response.body) is bytes else None
        self._conformance.check(response.status, response.headers, body, head=head)
        return response

    def convert(self, returned: Any) -> Response:
        """Return what a handler's return value means.

        Raises:
            ReturnValueError: it means nothing that can be sent.
            NonConformingResponseHeaders: its media type is not documented, or not to be inferred.
        """
        kind = type(returned)
        if kind is Response:
            return returned  # type: ignore[no-any-return]
        if (kind is dict or kind is list) and self._plain is not None:
            return Response(OK, self._plain, self._json(returned))
        if isinstance(returned, tuple):
            return self._from_tuple(returned)
        return self._whole(returned) or self._build(returned, None, [])

    def _whole(self, returned: Any) -> Response | None:
        """Return the response that a response object is, None where it is none."""
        if isinstance(returned, Response):
            return returned
        if isinstance(returned, WerkzeugResponse):
            return from_werkzeug(returned)
        if isinstance(returned, ConnexionResponse):
            return self._from_connexion(returned)
        return from_starlette(returned) if isinstance(returned, StarletteResponse) else None

    def _from_connexion(self, returned: ConnexionResponse) -> Response:
        headers = self._headers(returned.headers)
        content_type = returned.content_type or returned.mimetype
        body = self._body(returned.body)
        if content_type:
            headers = _with_type(headers, _media_type(content_type))
        elif body and not any(name == CONTENT_TYPE for name, _ in headers):
            headers.append((CONTENT_TYPE, HTML.encode()))
        return Response(self._status(returned.status_code) or OK, headers, body)

    def _from_tuple(self, returned: tuple[Any, ...]) -> Response:
        """Unpack (body), (body, status), (body, headers) or (body, status, headers)."""
        value, status, headers = returned[0] if returned else None, None, None
        if len(returned) == 2:  # noqa: PLR2004 -- the forms are told apart by their lengths.
            (status, headers) = (returned[1], None) if isinstance(returned[1], int | str | Enum) else (None, returned[1])
        elif len(returned) == 3:  # noqa: PLR2004
            status, headers = returned[1:]
        elif len(returned) != 1:
            self._refuse(
                f"a tuple of {len(returned)}; (body), (body, status), (body, headers) or (body, status, headers) can be sent"
            )
        code, raw = self._status(status), self._headers(headers)
        if isinstance(value, WerkzeugResponse):
            return from_werkzeug(_changed(value, code, raw))
        return self._build(value, code, raw)

    def _build(self, value: Any, status: int | None, headers: RawHeaders) -> Response:
        if value is None or value is NoContent:
            media = self._named(headers) or (self._offer(status or NO_CONTENT).other if self.media_types else None)
            return Response(NO_CONTENT if status is None else status, _with_type(headers, media) if media else headers)
        status = OK if status is None else status
        media = self._named(headers) or self._inferred(value, status)
        body = self._json(value) if media.is_json else self._body(value)
        return Response(status, _with_type(headers, media), body)

    def _named(self, headers: RawHeaders) -> MediaType | None:
        """Return the media type that the handler names."""
        for name, text in headers:
            if name == CONTENT_TYPE:
                given = text.decode("latin-1")
                if not any(each.fullmatch(_essence(given)) for each in self._covers):
                    self._refuse_type(f"the media type {_essence(given)}, which is not documented")
                return _media_type(given)
        return None

    def _inferred(self, value: Any, status: int) -> MediaType:
        """Return the only media type that the value can have."""
        media = self._offer(status).find(value)
        if media is None:
            self._refuse_type(f"{_kind(value)} without Content-Type, and several media types are documented")
        return media

    def _json(self, value: Any) -> bytes:
        try:
            text = self._dumps(value)
            return text.encode() if isinstance(text, str) else text
        except JSON_ERRORS as error:
            self._refuse(f"{_kind(value)} that is not JSON-serializable ({_reason(error)})")

    def _body(self, value: Any) -> bytes | Stream:
        """Return the bytes or the stream of a value whose media type is not JSON."""
        if isinstance(value, str):
            return self._encode(value)
        if value is None:
            return b""
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value)
        if isinstance(value, list | tuple):
            return b"".join(self._piece(each) for each in value)
        if not isinstance(value, Iterable | AsyncIterable) or isinstance(value, Mapping | AbstractSet):
            self._refuse(f"{_kind(value)} for a media type that is not JSON; return str, bytes or an iterator of them")
        return value

    def _piece(self, value: Any) -> bytes:
        if not isinstance(value, str | bytes):
            self._refuse(f"a list with {_kind(value)} in it for a media type that is not JSON")
        return self._encode(value) if isinstance(value, str) else value

    def _encode(self, text: str) -> bytes:
        try:
            return text.encode()
        except UnicodeEncodeError:
            self._refuse("text with a lone surrogate, which UTF-8 cannot encode")

    def _status(self, value: Any) -> int | None:
        """Return the number of a status: 201, HTTPStatus.CREATED, any Enum of numbers, or "201 CREATED"."""
        if value is None:
            return None
        value = value.value if isinstance(value, Enum) else value
        if isinstance(value, str):
            first = value.partition(" ")[0]
            value = int(first) if len(first) == 3 and first.isascii() and first.isdigit() else None  # noqa: PLR2004
        if type(value) is not int or not LOWEST_STATUS <= value <= HIGHEST_STATUS:
            self._refuse("a status that is no number from 100 to 599")
        return value

    def _headers(self, value: Any) -> RawHeaders:
        """Return headers as they are sent: from a mapping, whose values may be lists, or from pairs."""
        if value is None:
            return []
        pairs = value.items() if isinstance(value, Mapping | Headers) else value
        try:
            return [
                (_header_name(name), _header_value(each))
                for name, given in pairs
                for each in (given if isinstance(given, list | tuple) else (given,))
            ]
        except (TypeError, ValueError):
            self._refuse("headers that are neither a mapping nor pairs of a name and a value, or that HTTP does not allow")

    def _refuse(self, what: str) -> NoReturn:
        message = f"{self._operation_id} returned {what}"
        raise ReturnValueError(message) from None

    def _refuse_type(self, what: str) -> NoReturn:
        documented = ", ".join(dict.fromkeys(self.media_types))
        raise NonConformingResponseHeaders(detail=f"{self._operation_id} returned {what}; documented: {documented or 'none'}")


def _changed(response: WerkzeugResponse, status: int | None, headers: RawHeaders) -> WerkzeugResponse:
    """Change a response as `Flask.make_response` does for a tuple."""
    if status is not None:
        response.status_code = status
    response.headers.update(Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]))
    return response


def _closer(body: Any) -> Callable[[], Any] | None:
    closer: Callable[[], Any] | None = getattr(body, "aclose", None) or getattr(body, "close", None)
    return closer


def _without(headers: RawHeaders, name: bytes) -> RawHeaders:
    return [header for header in headers if header[0] != name]


def _with_type(headers: RawHeaders, media: MediaType) -> RawHeaders:
    return [media.header, *_without(headers, CONTENT_TYPE)]


def _essence(content_type: str) -> str:
    """Return the media type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


@lru_cache(maxsize=256)
def _media_type(content_type: str) -> MediaType:
    """Return the media type; text gets a charset as Werkzeug gives it one, unless it has one."""
    essence, parsed = _essence(content_type), parse_media_type(content_type)
    if parsed is None or "charset" not in parsed[1]:
        content_type += get_content_type(essence, "utf-8")[len(essence) :]
    header = CONTENT_TYPE, content_type.encode("latin-1")
    return MediaType(header, essence.startswith("application/") and is_json(essence))


@lru_cache(maxsize=256)
def _header_name(name: str) -> bytes:
    if not HEADER_NAME.fullmatch(name):
        raise ValueError
    return name.lower().encode()


def _header_value(value: Any) -> bytes:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    if FORBIDDEN.search(text):
        raise ValueError
    return text.strip().encode("latin-1")


def _kind(value: Any) -> str:
    return f"a value of type {type(value).__name__}"


def _reason(error: Exception) -> str:
    """Return why a value is not JSON; the encoder's messages name types only."""
    return "a lone surrogate" if isinstance(error, UnicodeError) else str(error)
