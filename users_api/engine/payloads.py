"""Bodies of one media type: JSON, text, binary, or a form; each is parsed and checked against its schema."""

from abc import ABC, abstractmethod
from collections.abc import Container, Mapping
from copy import deepcopy
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from connexion.uri_parsing import AbstractURIParser

from users_api.engine.failures import DocumentError, FieldError, InvalidPayload, UnsupportedMediaType
from users_api.engine.fields import MalformedFieldError
from users_api.engine.forms import Form, parse_multipart, parse_urlencoded
from users_api.engine.json_text import InvalidJsonError, duplicate_name_errors, parse_json
from users_api.engine.media_types import ASCII, MULTIPART, URLENCODED, UTF8, is_json
from users_api.engine.messages import MAX_ERRORS
from users_api.engine.schemas import Direction, Schemas
from users_api.engine.styles import SchemaConjunction, Types

Parameters = Mapping[str, str]

NO_PARAMETERS: Final[Parameters] = MappingProxyType({})
NON_RESTRICTIVE_KEYWORDS: Final = frozenset(
    {
        "type",
        "format",
        "title",
        "description",
        "example",
        "default",
        "nullable",
        "deprecated",
        "externalDocs",
        "xml",
    }
)


class Payload(NamedTuple):
    """A parsed request body: the handler's argument, and the files of a form by field."""

    value: Any
    files: dict[str, Any]


class DocumentLike(Protocol):
    """The part of a document's interface that resolves references."""

    def resolve(self, node: Mapping[str, Any], pointer: str) -> tuple[Mapping[str, Any], str]:
        """Return the target of a reference, and its pointer."""


class Options(NamedTuple):
    """The options that the media types of one body share."""

    document: DocumentLike
    schemas: Schemas
    strict: bool
    required: bool
    uri_parser_class: type[AbstractURIParser] | None
    validated_elsewhere: Container[str] = ()


class Body(ABC):
    """A body of one media type."""

    def __init__(self, media: Mapping[str, Any], pointer: str, name: str, options: Options) -> None:
        """Compile the schema."""
        self._name, self._options = name, options
        self._node, self._pointer = media.get("schema", {}), f"{pointer}/schema"
        self._schema = options.schemas.compile(self._node, self._pointer, Direction.REQUEST)
        self._default = self._schema.schema.get("default")

    def check(self, parameters: Parameters) -> None:
        """Raise UnsupportedMediaType if the parameters of the media type name a charset other than UTF-8."""
        if parameters.get("charset", "utf-8").lower() not in UTF8:
            raise UnsupportedMediaType(detail=f"The charset of {self._name} must be UTF-8")

    @abstractmethod
    def read(self, body: bytes, parameters: Parameters = NO_PARAMETERS) -> Payload:
        """Return the parsed body, or raise InvalidPayload with every error."""

    def read_missing(self, _body: bytes = b"") -> Payload:
        """Return the schema's default, else null if allowed, else an empty object as Connexion does.

        Raises:
            InvalidPayload: the body is required.
        """
        if self._default is not None:
            return Payload(deepcopy(self._default), {})
        if self._options.required:
            raise InvalidPayload([FieldError("", "is required")])
        return Payload(None if self._schema.schema.get("nullable") else {}, {})


class JsonBody(Body):
    """A JSON value; where the program validates this media type itself, its validator has already seen it."""

    def __init__(self, media: Mapping[str, Any], pointer: str, name: str, options: Options) -> None:
        """Compile the schema."""
        super().__init__(media, pointer, name, options)
        self._is_validated = name in options.validated_elsewhere
        self._max_items = self._schema.size.limit()

    def check(self, parameters: Parameters) -> None:
        """Raise UnsupportedMediaType for a charset that is not UTF-8 and, if strict, for other parameters."""
        super().check(parameters)
        if self._options.strict and parameters.keys() - {"charset"}:
            raise UnsupportedMediaType(detail=f"{self._name} has no parameters but charset")

    def read(self, body: bytes, parameters: Parameters = NO_PARAMETERS) -> Payload:  # noqa: ARG002 -- it is in UTF-8.
        """Return the value, or raise InvalidPayload with up to MAX_ERRORS errors."""
        try:
            value = parse_json(body, self._max_items)
        except InvalidJsonError as error:
            raise InvalidPayload([FieldError("", str(error))]) from None
        if not self._is_validated and (
            errors := self._schema.errors(value) + duplicate_name_errors(body, value)
        ):
            raise InvalidPayload(errors[:MAX_ERRORS])
        return Payload(value, {})


class TextBody(Body):
    """A text, or the value of a primitive type written as text."""

    def __init__(self, media: Mapping[str, Any], pointer: str, name: str, options: Options) -> None:
        """Compile the schema, which must be that of a primitive value."""
        super().__init__(media, pointer, name, options)
        types, view = Types(options.schemas, self._pointer), SchemaConjunction((self._node,))
        if types.shapes(view) != {"primitive"}:
            raise DocumentError(self._pointer, f"{name} is a text", "write type: string, or application/json")
        self._convert = types.compile(view)

    def check(self, parameters: Parameters) -> None:
        """Raise UnsupportedMediaType if the charset is neither UTF-8 nor ASCII."""
        if parameters.get("charset", "").lower() not in ASCII:
            super().check(parameters)

    def read(self, body: bytes, parameters: Parameters = NO_PARAMETERS) -> Payload:
        """Return the value, or raise InvalidPayload with every error."""
        is_ascii = parameters.get("charset", "").lower() in ASCII
        try:
            value = self._convert(body.decode("ascii" if is_ascii else "utf-8"))
        except UnicodeDecodeError:
            raise InvalidPayload(
                [FieldError("", f"must be text in {'ASCII' if is_ascii else 'UTF-8'}")]
            ) from None
        if errors := self._schema.errors(value):
            raise InvalidPayload(errors)
        return Payload(value, {})


class BinaryBody(Body):
    """Octets, passed to the handler unchanged; with format binary, lengths count octets."""

    def __init__(self, media: Mapping[str, Any], pointer: str, name: str, options: Options) -> None:
        """Compile the schema, which must be that of a string."""
        super().__init__(media, pointer, name, options)
        outline = Types(options.schemas, self._pointer).outline(SchemaConjunction((self._node,)))
        rules = self._schema.schema.keys() - NON_RESTRICTIVE_KEYWORDS
        if outline.type != "string" and (outline.type or rules):
            raise DocumentError(
                self._pointer,
                f"{name} is not parsed",
                "write type: string, format: binary, or application/json",
            )
        self._encoding = "latin-1" if outline.format == "binary" else "utf-8"
        self._has_rules = bool(rules) or outline.format not in {None, "binary"}

    def check(self, parameters: Parameters) -> None:
        """Accept every parameter."""

    def read(self, body: bytes, parameters: Parameters = NO_PARAMETERS) -> Payload:  # noqa: ARG002 -- bytes need none.
        """Return the octets, or raise InvalidPayload with every error."""
        if self._has_rules:
            try:
                text = body.decode(self._encoding)
            except UnicodeDecodeError:
                raise InvalidPayload([FieldError("", "must be text in UTF-8")]) from None
            if errors := self._schema.errors(text):
                raise InvalidPayload(errors)
        return Payload(body, {})


class FormBody(Body):
    """A form; a missing body counts as the empty form, which the schema may reject."""

    def __init__(self, media: Mapping[str, Any], pointer: str, name: str, options: Options) -> None:
        """Compile the fields."""
        super().__init__(media, pointer, name, options)
        self._parse = parse_multipart if name == MULTIPART else parse_urlencoded
        self._form = Form(
            media,
            pointer,
            resolve=options.document.resolve,
            schemas=options.schemas,
            strict=options.strict,
            multipart=name == MULTIPART,
            uri_parser_class=options.uri_parser_class,
        )

    def read(self, body: bytes, parameters: Parameters = NO_PARAMETERS) -> Payload:
        """Return the fields and the files, or raise InvalidPayload with every error."""
        try:
            parts = self._parse(body, parameters)
        except MalformedFieldError as error:
            raise InvalidPayload([FieldError("", error.message)]) from None
        return Payload(*self._form.fill(parts))

    def read_missing(self, _body: bytes = b"") -> Payload:
        """Return the empty form, or raise InvalidPayload."""
        if self._options.required and self._default is None:
            raise InvalidPayload([FieldError("", "is required")])
        return Payload(*self._form.fill({}))


BODY_CLASSES: Final[Mapping[str, type[Body]]] = {
    "json": JsonBody,
    "text": TextBody,
    "binary": BinaryBody,
    URLENCODED: FormBody,
    MULTIPART: FormBody,
}


def kind_of(name: str) -> str:
    """Return the key in KINDS for a media type."""
    if is_json(name):
        return "json"
    if name in BODY_CLASSES:
        return name
    return "text" if name.startswith("text/") else "binary"
