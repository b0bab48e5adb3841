"""Converts the values that handlers return to responses.

Everything that Connexion's FlaskApp accepts is accepted; `tests/engine/test_responses_against_connexion.py`
has the table of deviations. The most visible one: JSON has no whitespace and keeps the order of the keys,
unless the program has its own jsonifier.
"""

import re
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Container,
    Iterable,
    Iterator,
    Mapping,
)
from collections.abc import Set as AbstractSet
from enum import Enum
from functools import lru_cache
from typing import Any, Final, NamedTuple, NoReturn

from connexion.datastructures import NoContent
from connexion.exceptions import NonConformingResponseHeaders
from connexion.jsonifier import Jsonifier
from connexion.lifecycle import ConnexionResponse
from starlette.responses import Response as StarletteResponse
from werkzeug.datastructures import Headers
from werkzeug.utils import get_content_type
from werkzeug.wrappers import Response as WerkzeugResponse

from users_api.engine.conformance import Resolver, ResponseValidator, StatusTable
from users_api.engine.media_types import compile_range, is_json, parse_media_type
from users_api.engine.responses import (
    CONTENT_TYPE,
    JSON,
    NO_CONTENT,
    OK,
    RawHeaders,
    Response,
    ReturnValueError,
    Stream,
    describe_type,
    dumps,
    from_starlette,
    from_werkzeug,
    without_header,
)
from users_api.engine.schemas import Schemas
from users_api.engine.violations import Violation

HIGHEST_STATUS: Final = 599
LOWEST_STATUS: Final = 100
HTML: Final = "text/html; charset=utf-8"  # Flask's default.
HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.1
FORBIDDEN: Final = re.compile(r"[\r\n\0]")  # RFC 9110, 5.5
JSON_ERRORS: Final = (TypeError, ValueError, RecursionError)


class MediaType(NamedTuple):
    """The Content-Type of a body, and whether the body is JSON."""

    header: tuple[bytes, bytes]
    is_json: bool


class ResponseMediaTypes:
    """The media types of one status: for text, for bytes and iterators, and for any other value."""

    __slots__ = ("binary", "other", "text")

    def __init__(self, names: Iterable[str]) -> None:
        """Choose as Connexion does; a range counts as the simplest type that it covers."""
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
        """Return the media type for a value, or None if the handler must set it."""
        if isinstance(value, str):
            return self.text
        return (
            self.binary
            if isinstance(value, bytes | bytearray | memoryview | Iterator | AsyncIterator)
            else self.other
        )


class Responses:
    """The responses of one operation: converts and validates the return values of its handler."""

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
        """Compile the Responses Object; the default jsonifier is `dumps`.

        Raises:
            DocumentError: `validate_responses` is set, and a response cannot be validated.
        """
        resolved = {
            key: document.resolve(definition, f"{pointer}/{key}")
            for key, definition in definitions.items()
            if not key.startswith("x-")
        }
        content = {key: list(definition.get("content", {})) for key, (definition, _) in resolved.items()}
        self.media_types: list[str] = [name for names in content.values() for name in names]
        pool = ResponseMediaTypes(self.media_types or [JSON])
        self._covers = [compile_range(_essence(name)) for name in self.media_types or [JSON]]
        self._offers = StatusTable(
            {key: ResponseMediaTypes(names) if names else pool for key, names in content.items()}, pool
        )
        self._dumps: Callable[[Any], bytes | str] = jsonifier.dumps if jsonifier else dumps
        self._operation_id = operation_id
        offered = self._offer(OK).other
        self._plain = [offered.header] if offered and offered.is_json else None
        self._conformance = (
            ResponseValidator(
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

    def _offer(self, status: int) -> ResponseMediaTypes:
        offer = self._offers.find(status)
        assert offer is not None  # noqa: S101 -- the table has a default.
        return offer

    async def validate(self, response: Response, *, head: bool = False) -> Response:
        """Return the response if it conforms to the document; a stream is read completely if necessary.

        Raises:
            NonConformingResponseHeaders, NonConformingResponseBody: it does not conform.
        """
        if self._conformance is None:
            return response
        if type(response.body) is not bytes and self._conformance.needs_body(
            response.status, response.headers
        ):
            response = await response.collect()
        body = response.body if type(response.body) is bytes else None
        self._conformance.check(response.status, response.headers, body, head=head)
        return response

    def violations(
        self, status: int, headers: RawHeaders, body: bytes | None, *, head: bool = False
    ) -> list[Violation]:
        """Return where a response violates the document; `body` is None if it is unknown."""
        if self._conformance is None:
            return []
        return self._conformance.violations(status, headers, body, head=head)

    def convert(self, returned: Any) -> Response:
        """Convert a handler's return value to a response.

        Raises:
            ReturnValueError: the value cannot be sent.
            NonConformingResponseHeaders: its media type is not documented, or cannot be inferred.
        """
        kind = type(returned)
        if kind is Response:
            return returned  # type: ignore[no-any-return]
        if (kind is dict or kind is list) and self._plain is not None:
            return Response(OK, self._plain, self._json(returned))
        if isinstance(returned, tuple):
            return self._from_tuple(returned)
        return self._from_response_object(returned) or self._build(returned, None, [])

    def _from_response_object(self, returned: Any) -> Response | None:
        """Convert a response object; return None if it is another value."""
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
        if len(returned) == 2:  # noqa: PLR2004 -- the length identifies the form.
            (status, headers) = (
                (returned[1], None) if isinstance(returned[1], int | str | Enum) else (None, returned[1])
            )
        elif len(returned) == 3:  # noqa: PLR2004
            status, headers = returned[1:]
        elif len(returned) != 1:
            self._raise(
                f"a tuple of {len(returned)}; (body), (body, status), (body, headers) or "
                "(body, status, headers) can be sent"
            )
        code, raw = self._status(status), self._headers(headers)
        if isinstance(value, WerkzeugResponse):
            return from_werkzeug(_changed(value, code, raw))
        return self._build(value, code, raw)

    def _build(self, value: Any, status: int | None, headers: RawHeaders) -> Response:
        if value is None or value is NoContent:
            media = self._explicit_media_type(headers) or (
                self._offer(status or NO_CONTENT).other if self.media_types else None
            )
            return Response(
                NO_CONTENT if status is None else status, _with_type(headers, media) if media else headers
            )
        status = OK if status is None else status
        media = self._explicit_media_type(headers) or self._inferred_media_type(value, status)
        body = self._json(value) if media.is_json else self._body(value)
        return Response(status, _with_type(headers, media), body)

    def _explicit_media_type(self, headers: RawHeaders) -> MediaType | None:
        """Return the media type that the handler set."""
        for name, text in headers:
            if name == CONTENT_TYPE:
                given = text.decode("latin-1")
                if not any(each.fullmatch(_essence(given)) for each in self._covers):
                    self._refuse_type(f"the media type {_essence(given)}, which is not documented")
                return _media_type(given)
        return None

    def _inferred_media_type(self, value: Any, status: int) -> MediaType:
        """Return the media type that the document implies for the value."""
        media = self._offer(status).find(value)
        if media is None:
            self._refuse_type(
                f"{describe_type(value)} without Content-Type, and several media types are documented"
            )
        return media

    def _json(self, value: Any) -> bytes:
        try:
            text = self._dumps(value)
            return text.encode() if isinstance(text, str) else text
        except JSON_ERRORS as error:
            self._raise(f"{describe_type(value)} that is not JSON-serializable ({_reason(error)})")

    def _body(self, value: Any) -> bytes | Stream:
        """Return the bytes or the stream of a value whose media type is not JSON."""
        if isinstance(value, str):
            return self._encode(value)
        if value is None:
            return b""
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value)
        if isinstance(value, list | tuple):
            return b"".join(self._encode_item(each) for each in value)
        if not isinstance(value, Iterable | AsyncIterable) or isinstance(value, Mapping | AbstractSet):
            self._raise(
                f"{describe_type(value)} for a media type that is not JSON; "
                "return str, bytes or an iterator of them"
            )
        return value

    def _encode_item(self, value: Any) -> bytes:
        if not isinstance(value, str | bytes):
            self._raise(f"a list with {describe_type(value)} in it for a media type that is not JSON")
        return self._encode(value) if isinstance(value, str) else value

    def _encode(self, text: str) -> bytes:
        try:
            return text.encode()
        except UnicodeEncodeError:
            self._raise("text with a lone surrogate, which UTF-8 cannot encode")

    def _status(self, value: Any) -> int | None:
        """Return the number of a status: 201, HTTPStatus.CREATED, any Enum of numbers, or "201 CREATED"."""
        if value is None:
            return None
        value = value.value if isinstance(value, Enum) else value
        if isinstance(value, str):
            first = value.partition(" ")[0]
            value = int(first) if len(first) == 3 and first.isascii() and first.isdigit() else None  # noqa: PLR2004
        if type(value) is not int or not LOWEST_STATUS <= value <= HIGHEST_STATUS:
            self._raise("a status that is not a number from 100 to 599")
        return value

    def _headers(self, value: Any) -> RawHeaders:
        """Return raw headers from a mapping, whose values may be lists, or from pairs."""
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
            self._raise(
                "headers that are neither a mapping nor pairs of a name and a value, "
                "or that HTTP does not allow"
            )

    def _raise(self, what: str) -> NoReturn:
        message = f"{self._operation_id} returned {what}"
        raise ReturnValueError(message) from None

    def _refuse_type(self, what: str) -> NoReturn:
        documented = ", ".join(dict.fromkeys(self.media_types))
        raise NonConformingResponseHeaders(
            detail=f"{self._operation_id} returned {what}; documented: {documented or 'none'}"
        )


def _changed(response: WerkzeugResponse, status: int | None, headers: RawHeaders) -> WerkzeugResponse:
    """Change a response as `Flask.make_response` does for a tuple."""
    if status is not None:
        response.status_code = status
    response.headers.update(
        Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])
    )
    return response


def _with_type(headers: RawHeaders, media: MediaType) -> RawHeaders:
    return [media.header, *without_header(headers, CONTENT_TYPE)]


def _essence(content_type: str) -> str:
    """Return the media type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


@lru_cache(maxsize=256)
def _media_type(content_type: str) -> MediaType:
    """Return the media type; text without a charset gets one, as in Werkzeug."""
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


def _reason(error: Exception) -> str:
    """Return why a value is not JSON; the encoder's messages name types only."""
    return "a lone surrogate" if isinstance(error, UnicodeError) else str(error)
