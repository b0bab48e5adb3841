"""Whether a response conforms to the document: its status, its headers, its media type and its body."""

import json
from collections.abc import Callable, Container, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Generic, NoReturn, Protocol, TypeVar

from connexion.exceptions import NonConformingResponseBody, NonConformingResponseHeaders

from users_api.engine.failures import DocumentError, FieldError
from users_api.engine.media_types import compile_range, is_json, parse_media_type
from users_api.engine.schemas import Direction, Schema, Schemas
from users_api.engine.styles import Malformed, SchemaConjunction, Types, compile_split
from users_api.engine.violations import BODY, HEADERS, STATUS, Violation
from users_api.engine.yaml_source import child_pointer

T = TypeVar("T")
Headers = Sequence[tuple[bytes, bytes]]
CONTENT_TYPE: Final = "Content-Type"
TEXT_TYPES: Final = frozenset(
    {"application/xml", "application/javascript", "application/x-www-form-urlencoded"}
)
ANNOTATIONS: Final = frozenset(
    {"title", "description", "example", "externalDocs", "deprecated", "default", "xml"}
)
OCTET_CHARSET: Final = "latin-1"  # One character for each octet, so that lengths are in octets.
SUCCESS: Final = 200
NO_CONTENT: Final = frozenset({204, 304})


class Resolver(Protocol):
    """The part of the document's interface that this module needs."""

    def resolve(self, node: Mapping[str, Any], pointer: str) -> tuple[Mapping[str, Any], str]:
        """Return the target of a reference, and its pointer."""
        ...


def is_bodiless(status: int) -> bool:
    """Return whether responses of this status never have a body (RFC 9110, 6.4.1)."""
    return status < SUCCESS or status in NO_CONTENT


class StatusTable(Generic[T]):
    """A table by status: the status itself, then its range such as `2XX`, then `default`."""

    __slots__ = ("_default", "_exact", "_ranges")

    def __init__(self, table: Mapping[str, T], default: T | None = None) -> None:
        """Store a table with a Responses Object's keys, and the default for a table without one."""
        self._exact = {int(key): value for key, value in table.items() if key.isdigit()}
        self._ranges = {int(key[0]): value for key, value in table.items() if key.endswith("XX")}
        self._default = table.get("default", default)

    def find(self, status: int) -> T | None:
        """Return the entry for the status."""
        return self._exact.get(status) or self._ranges.get(status // 100, self._default)


class ResponseValidator:
    """All responses that one operation documents.

    Unless strict, a status that is not documented may be sent, as in Connexion. Only JSON bodies are parsed.
    Text counts as one string, number or boolean, and other bodies as a string of octets. `elsewhere` contains
    the media types whose bodies the program validates itself.
    """

    __slots__ = ("_documented", "_operation_id", "_pointer", "_strict")

    def __init__(  # noqa: PLR0913 -- each is a fact of its own, and all are named.
        self,
        definitions: Mapping[str, tuple[Mapping[str, Any], str]],
        pointer: str,
        *,
        document: Resolver,
        schemas: Schemas,
        operation_id: str,
        strict: bool = True,
        elsewhere: Container[str] = (),
    ) -> None:
        """Compile the responses, each given with its pointer.

        Raises:
            DocumentError: a response uses a feature that cannot be enforced.
        """
        self._pointer, self._operation_id, self._strict = pointer, operation_id, strict
        for key, (definition, at) in definitions.items():
            if key.isdigit() and is_bodiless(int(key)) and definition.get("content"):
                problem = f"a response of status {key} has no body"
                raise DocumentError(pointer=f"{at}/content", problem=problem, instead="remove content")
        self._documented = StatusTable(
            {
                key: DocumentedResponse(each, at, document, schemas, elsewhere)
                for key, (each, at) in definitions.items()
            }
        )

    def needs_body(self, status: int, headers: Headers) -> bool:
        """Return whether a streamed body must be read completely before `check` can validate it."""
        documented = self._documented.find(status)
        return documented is not None and documented.needs_body(_content_type(headers))

    def check(self, status: int, headers: Headers, body: bytes | None, *, head: bool = False) -> None:
        """Validate a response; `body` is None for a stream, and may be missing in a response to HEAD.

        Raises:
            NonConformingResponseHeaders: the status, the media type or a header is not as documented.
            NonConformingResponseBody: the body is not. Messages contain pointers and paths, never values.
        """
        documented = self._documented.find(status)
        if documented is None:
            if self._strict:
                self._reject_headers(self._pointer, f"status {status} is not documented")
            return
        for pointer, error in documented.header_errors(headers):
            self._reject_headers(pointer, f"{error.field} {error.message}")
        if body == b"" and (head or is_bodiless(status)):
            return
        if documented.media:
            self._check_body(documented, _content_type(headers), body)
        elif documented.is_bodiless and body != b"":
            self._reject_body(documented.pointer, "the response has a body, and none is documented")

    def violations(
        self, status: int, headers: Headers, body: bytes | None, *, head: bool = False
    ) -> list[Violation]:
        """Return where a response violates the document, at most one place of each header and of the body.

        The arguments are those of `check`, which rejects the same responses.
        """
        documented = self._documented.find(status)
        if documented is None:
            return [Violation(STATUS, "responses")] if self._strict else []
        found = documented.header_violations(headers)
        if body == b"" and (head or is_bodiless(status)):
            return found
        return [*found, *documented.body_violations(_content_type(headers), body)]

    def _check_body(
        self, documented: "DocumentedResponse", content_type: str | None, body: bytes | None
    ) -> None:
        if content_type is None:
            self._reject_headers(f"{documented.pointer}/content", "Content-Type is missing")
        found = documented.find(content_type)
        if found is None:
            self._reject_headers(f"{documented.pointer}/content", "this media type is not documented")
        media, name, parameters = found
        if body is not None and (errors := media.errors(body, name, parameters)):
            self._reject_body(
                media.pointer, "; ".join(f"{each.field} {each.message}".strip() for each in errors)
            )

    def _reject_headers(self, pointer: str, problem: str) -> NoReturn:
        raise NonConformingResponseHeaders(detail=f"{self._operation_id}: {pointer}: {problem}")

    def _reject_body(self, pointer: str, problem: str) -> NoReturn:
        raise NonConformingResponseBody(detail=f"{self._operation_id}: {pointer}: {problem}")


class DocumentedResponse:
    """One Response Object."""

    __slots__ = ("_headers", "is_bodiless", "media", "pointer")

    def __init__(
        self,
        definition: Mapping[str, Any],
        pointer: str,
        document: Resolver,
        schemas: Schemas,
        elsewhere: Container[str],
    ) -> None:
        """Compile it; a header Content-Type is ignored, as OpenAPI says.

        `content: {}` means no body; without `content` the document says nothing about one, as in Connexion.
        """
        self.pointer, self.is_bodiless = pointer, definition.get("content") == {}
        headers = [
            (name, *document.resolve(header, child_pointer(f"{pointer}/headers", name)))
            for name, header in definition.get("headers", {}).items()
            if name.lower() != "content-type"
        ]
        self._headers = [DocumentedHeader(name, header, at, schemas) for name, header, at in headers]
        media = [
            DocumentedMediaType(name, each, child_pointer(f"{pointer}/content", name), schemas, elsewhere)
            for name, each in definition.get("content", {}).items()
        ]
        self.media = sorted(media, key=lambda each: each.specificity, reverse=True)

    def find(self, content_type: str) -> "tuple[DocumentedMediaType, str, dict[str, str]] | None":
        """Return the most specific media type that covers this one, and this one's name and parameters."""
        parsed = _parse_media_type(content_type)
        if parsed is None:
            return None
        return next(((media, *parsed) for media in self.media if media.covers(*parsed)), None)

    def needs_body(self, content_type: str | None) -> bool:
        """Return whether a body of this media type must be validated."""
        if not self.media:
            return self.is_bodiless
        found = self.find(content_type) if content_type else None
        return found is not None and found[0].needs_body(found[1])

    def header_errors(self, headers: Headers) -> list[tuple[str, FieldError]]:
        """Return every invalid header, with the pointer to its definition."""
        return [
            (header.pointer, error)
            for header in self._headers
            for error in header.errors(header.texts(headers))
        ]

    def header_violations(self, headers: Headers) -> list[Violation]:
        """Return the violation of each invalid header."""
        found = (header.violation(header.texts(headers)) for header in self._headers)
        return [each for each in found if each]

    def body_violations(self, content_type: str | None, body: bytes | None) -> list[Violation]:
        """Return the violation of the media type or of the body, which is None if only the type is known."""
        if not self.media:
            return [Violation(BODY, "content")] if self.is_bodiless and body != b"" else []
        place = child_pointer(HEADERS, CONTENT_TYPE)
        if content_type is None:
            return [Violation(place, "required")]
        if (covering := self.find(content_type)) is None:
            return [Violation(place, "content")]
        media, name, parameters = covering
        found = None if body is None else media.violation(body, name, parameters)
        return [found] if found else []


class DocumentedMediaType:
    """The documented body of one media type, or of a range of them."""

    __slots__ = (
        "_convert", "_covers", "_encoding", "_is_anything", "_is_structured", "_parameters", "_schema",
        "pointer", "specificity"
    )  # fmt: skip

    def __init__(
        self,
        key: str,
        definition: Mapping[str, Any],
        pointer: str,
        schemas: Schemas,
        elsewhere: Container[str],
    ) -> None:
        """Compile its schema.

        Raises:
            DocumentError: the schema describes the structure of a media type that is not parsed.
        """
        parsed = parse_media_type(key)
        if parsed is None:
            raise DocumentError(pointer, f"{key} is not a media type", "write one like application/json")
        name, self._parameters = parsed
        self.pointer = pointer
        self._covers = compile_range(name)
        self.specificity = "*" not in name, len(self._parameters), name
        self._schema: Schema | None = None
        self._is_anything, self._is_structured, self._encoding = True, False, ""
        self._convert: Callable[[Any], Any] = str
        if "schema" in definition and name not in elsewhere:
            self.pointer = f"{pointer}/schema"
            self._compile(name, definition["schema"], schemas)

    def _compile(self, name: str, schema: Mapping[str, Any], schemas: Schemas) -> None:
        self._schema = schemas.compile(schema, self.pointer, Direction.RESPONSE)
        self._is_anything = _accepts_any_text(schemas.resolve(schema))
        types, view = Types(schemas, self.pointer), SchemaConjunction((schema,))
        self._is_structured = types.shapes(view) != {"primitive"}
        if self._is_structured:
            if "*" not in name and not is_json(name):
                raise DocumentError(
                    self.pointer,
                    f"bodies of {name} are not parsed, so arrays and objects in them cannot be validated",
                    "write type: string, or add a validator for it to validator_map['response']",
                )
            return
        self._convert = types.compile(view)
        self._encoding = OCTET_CHARSET if types.outline(view).format == "binary" else ""

    def covers(self, name: str, parameters: Mapping[str, str]) -> bool:
        """Return whether this entry covers a media type; parameters that the document names must be equal."""
        return bool(self._covers.fullmatch(name)) and all(
            parameters.get(each, "").lower() == value.lower() for each, value in self._parameters.items()
        )

    def needs_body(self, name: str) -> bool:
        """Return whether any body could be invalid."""
        return self._schema is not None and (is_json(name) or not self._is_anything)

    def errors(self, body: bytes, name: str, parameters: Mapping[str, str]) -> list[FieldError]:
        """Return every violation."""
        if self._schema is None:
            return []
        try:
            value = self._read(body, name, parameters.get("charset"))
        except Malformed as error:
            return [FieldError("", error.message)]
        return list(self._schema.errors(value))

    def violation(self, body: bytes, name: str, parameters: Mapping[str, str]) -> Violation | None:
        """Return the first violation."""
        if self._schema is None:
            return None
        try:
            value = self._read(body, name, parameters.get("charset"))
        except Malformed:
            return Violation(BODY, "content")
        return self._schema.violation(value, BODY)

    def _read(self, body: bytes, name: str, charset: str | None) -> Any:
        if is_json(name):
            return _parse_json(body)
        if self._is_structured:
            message = f"{name} is not parsed, so it cannot be validated"
            raise Malformed(message)
        encoding = self._encoding or charset or ("utf-8" if _is_text(name) else OCTET_CHARSET)
        try:
            return self._convert(body.decode(encoding))
        except (LookupError, UnicodeError):
            message = "the body is not text in the charset of its media type"
            raise Malformed(message) from None


class DocumentedHeader:
    """One documented header; commas join repeated ones (RFC 9110, 5.3), except Set-Cookie."""

    __slots__ = ("_is_required", "_name", "_place", "_read", "_schema", "_source", "key", "pointer")

    def __init__(self, name: str, definition: Mapping[str, Any], pointer: str, schemas: Schemas) -> None:
        """Compile its schema and its reader; the style of a header is always simple.

        Raises:
            DocumentError: its media type is not parsed, or its style cannot express the schema.
        """
        self.key, self.pointer, self._name = name.lower().encode("latin-1"), pointer, name
        self._place, self._source = (
            child_pointer(HEADERS, name),
            "schema" if "schema" in definition else "content",
        )
        self._is_required = definition.get("required", False)
        self._read: Callable[[str], Any]
        if "schema" in definition:
            at, schema = f"{pointer}/schema", definition["schema"]
            self._read = _compile_simple(name, schema, at, schemas, explode=definition.get("explode", False))
        else:
            ((media_type, media),) = definition["content"].items()
            at = child_pointer(f"{pointer}/content", media_type)
            if not is_json(media_type.lower()):
                raise DocumentError(
                    at, f"headers of {media_type} are not parsed", "write schema instead of content"
                )
            at, schema, self._read = f"{at}/schema", media.get("schema", {}), _parse_json
        self._schema = schemas.compile(schema, at, Direction.RESPONSE)

    def texts(self, headers: Headers) -> list[str]:
        """Return the header's values in a response; commas join them."""
        texts = [value.decode("latin-1") for name, value in headers if name == self.key]
        return [", ".join(texts)] if len(texts) > 1 and self.key != b"set-cookie" else texts

    def errors(self, texts: list[str]) -> list[FieldError]:
        """Return every violation; the field begins with the header's name."""
        if not texts:
            return [FieldError(self._name, "is missing")] if self._is_required else []
        return [error for text in texts for error in self._errors(text)]

    def violation(self, texts: list[str]) -> Violation | None:
        """Return the first violation."""
        if not texts:
            return Violation(self._place, "required") if self._is_required else None
        return next(filter(None, map(self._violation, texts)), None)

    def _violation(self, text: str) -> Violation | None:
        try:
            value = self._read(text)
        except Malformed:
            return Violation(self._place, self._source)
        return self._schema.violation(value, self._place)

    def _errors(self, text: str) -> list[FieldError]:
        try:
            found = self._schema.errors(self._read(text))
        except Malformed as error:
            found = [FieldError(error.path, error.message)]
        return [FieldError(_join(self._name, field), message) for field, message in found]


def _compile_simple(
    name: str, schema: Mapping[str, Any], pointer: str, schemas: Schemas, *, explode: bool
) -> Callable[[str], Any]:
    """Return the conversion from a header's text to a value of its schema's type."""
    types, view = Types(schemas, pointer), SchemaConjunction((schema,))
    shapes = types.shapes(view)
    if len(shapes) > 1:
        raise DocumentError(
            pointer, "the alternatives of a header are serialized differently", "keep one type"
        )
    split = compile_split("simple", shapes.pop(), name, explode=explode)
    convert = types.compile(view)
    return lambda text: convert(split(text, str.strip))


_parse_media_type: Final = lru_cache(maxsize=256)(parse_media_type)


def _content_type(headers: Headers) -> str | None:
    return next((value.decode("latin-1") for name, value in headers if name == b"content-type"), None)


def _accepts_any_text(schema: Mapping[str, Any]) -> bool:
    """Return whether every string of octets conforms to the schema; if so, a stream is not read first."""
    if schema.keys() - ANNOTATIONS - {"type", "format"}:
        return False
    return (schema.get("type", "string"), schema.get("format", "binary")) == ("string", "binary")


def _is_text(name: str) -> bool:
    return name.startswith("text/") or name.endswith("+xml") or name in TEXT_TYPES


def _join(name: str, field: str) -> str:
    return f"{name}{field}" if field.startswith("[") else f"{name}.{field}".rstrip(".")


def _parse_json(text: bytes | str) -> Any:
    """Return the value without loss of precision; orjson rounds integers beyond 64 bits."""
    try:
        return JSON_DECODER.decode(text if isinstance(text, str) else text.decode())
    except (ValueError, RecursionError):
        message = "is not JSON"
        raise Malformed(message) from None


def _refuse_constant(name: str) -> NoReturn:
    """Reject NaN and the infinities, which are not JSON (RFC 8259, 6)."""
    raise ValueError(name)


JSON_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
