"""Forms as request bodies: `application/x-www-form-urlencoded` and `multipart/form-data` (RFC 7578)."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import islice
from typing import Any, Final

from connexion.uri_parsing import AbstractURIParser, OpenAPIURIParser
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder

from users_api.engine.failures import DocumentError, FieldError, InvalidPayload
from users_api.engine.fields import FieldCompiler, FormValues, MalformedFieldError, Part, Resolve, SchemaNodes
from users_api.engine.messages import MAX_ERRORS
from users_api.engine.percent import decode_form
from users_api.engine.schemas import Direction, Schemas
from users_api.engine.styles import SchemaConjunction, Types
from users_api.engine.yaml_source import child_pointer

MAX_FIELDS: Final = 12_000
MAX_PARTS: Final = 1000  # Flask's default limit.
MAX_PREAMBLE: Final = 1_024  # Bytes; browsers and HTTP clients send none.
MAX_HEAD_BYTES: Final = 128 * 1024
MAX_HEAD_SEPARATORS: Final = 10_000  # A usual part has about six.
HEAD_SEPARATORS: Final = (b"\n", b"\r", b";", b"\\")
LARGE_HEADS: Final = "must have fewer or shorter headers in its parts"
TOO_MANY_FIELDS: Final = f"must have {MAX_FIELDS} or fewer properties"
TOO_MANY_PARTS: Final = f"must have {MAX_PARTS} or fewer parts"
NOT_URLENCODED: Final = "must be percent-encoded UTF-8"
NOT_MULTIPART: Final = "must be multipart/form-data with the boundary of its Content-Type"
NO_BOUNDARY: Final = "must have a boundary in its Content-Type"
MISSING_NAME: Final = "must have a name in each part"
UNKNOWN_PROPERTY: Final = "is not a known property"
NO_HEADERS: Final = Headers()

Parts = dict[str, list[Part]]


class BoundedDecoder(MultipartDecoder):
    """A decoder that limits the heads of all parts, which are slow to parse."""

    _bytes = _separators = 0

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        self._bytes += len(data)
        self._separators += sum(data.count(separator) for separator in HEAD_SEPARATORS)
        if self._bytes > MAX_HEAD_BYTES or self._separators > MAX_HEAD_SEPARATORS:
            raise MalformedFieldError(LARGE_HEADS)
        return super()._parse_headers(data)


class Form:
    """The fields of one form, compiled from its schema and its `encoding`."""

    def __init__(  # noqa: PLR0913 -- each is a fact of its own, and all are named.
        self,
        media: Mapping[str, Any],
        pointer: str,
        *,
        resolve: Resolve,
        schemas: Schemas,
        strict: bool,
        multipart: bool,
        uri_parser_class: type[AbstractURIParser] | None,
    ) -> None:
        """Compile each field.

        Raises:
            DocumentError: the schema is not that of an object, or a field cannot be read as documented.
        """
        node, schema_pointer = media.get("schema", {}), f"{pointer}/schema"
        self._schema = schemas.compile(node, schema_pointer, Direction.REQUEST)
        types, view = Types(schemas, schema_pointer), SchemaConjunction((node,))
        if self._schema.schema and types.shapes(view) != {"object"}:
            raise DocumentError(
                schema_pointer, "a form is an object", "declare its fields as properties of one"
            )
        self._default = self._schema.schema.get("default") or {}
        properties = _properties(types, view)
        encodings = media.get("encoding", {})
        if unknown := sorted(encodings.keys() - properties.keys()):
            raise DocumentError(
                child_pointer(f"{pointer}/encoding", unknown[0]),
                "the schema has no such property",
                "declare it",
            )
        uri_parser = None
        if uri_parser_class not in {None, OpenAPIURIParser}:
            uri_parser = uri_parser_class([], _definition(media, self._schema.schema, schemas))
        compiler = FieldCompiler(
            schemas,
            resolve,
            pointer,
            strict=strict,
            multipart=multipart,
            uri_parser=uri_parser,
            most_items=max(MAX_FIELDS, self._schema.size.limit()),
        )
        self._fields = {
            name: compiler.compile(name, nodes, encodings.get(name, {})) for name, nodes in properties.items()
        }
        additional = types.outline(view).additional
        is_closed = strict and self._schema.schema and not additional
        self._other = None if is_closed else compiler.compile("*", additional, {})

    def fill(self, parts: Parts) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the converted values with defaults, and the files; without parts, the empty form.

        Raises:
            InvalidPayload: they do not conform.
        """
        form = FormValues(deepcopy(self._default), {}, {})
        taken = (error for name, given in parts.items() for error in self._take(name, given, form))
        errors = list(islice(taken, MAX_ERRORS))
        rejected = tuple(error.field for error in errors)
        whole = form.values | form.texts
        errors += [error for error in self._schema.errors(whole) if not _is_within(error.field, rejected)]
        if errors:
            raise InvalidPayload(errors[:MAX_ERRORS])
        values = self._schema.fill_defaults(whole)
        return {name: value for name, value in values.items() if name not in form.texts}, form.files

    def _take(self, name: str, given: list[Part], form: FormValues) -> list[FieldError]:
        """Add the field to the form, or return the errors."""
        field = self._fields.get(name, self._other)
        if field is None:
            return [FieldError(name, UNKNOWN_PROPERTY)]
        try:
            field.add_to(name, given, form)
        except MalformedFieldError as error:
            return [FieldError(f"{name}.{error.path}".rstrip("."), error.message)]
        return []


def parse_urlencoded(body: bytes, _parameters: Mapping[str, str]) -> Parts:
    """Return the texts by name.

    Raises:
        RejectedError: a percent-encoding or the UTF-8 is invalid, or it has more than 12,000 fields.
    """
    if body.count(b"&") >= MAX_FIELDS:
        raise MalformedFieldError(TOO_MANY_FIELDS)
    parts: Parts = {}
    try:
        for pair in filter(None, body.decode().split("&")):
            name, _, value = pair.partition("=")
            parts.setdefault(decode_form(name), []).append(Part(decode_form(value), None, NO_HEADERS))
    except ValueError:
        raise MalformedFieldError(NOT_URLENCODED) from None
    return parts


def parse_multipart(body: bytes, parameters: Mapping[str, str]) -> Parts:
    """Return the parts by name; the boundary is a parameter of the media type.

    Raises:
        RejectedError: it is not a multipart body with this boundary, has a part without a name, or more than
            1,000 parts.
    """
    boundary = parameters.get("boundary")
    if not boundary:
        raise MalformedFieldError(NO_BOUNDARY)
    parts: Parts = {}
    try:
        for part, content in _events(body, boundary.encode("latin-1")):
            if part.name is None:
                raise MalformedFieldError(MISSING_NAME)
            filename = part.filename if isinstance(part, File) else None
            parts.setdefault(part.name, []).append(Part(content, filename, part.headers))
    except RequestEntityTooLarge:
        raise MalformedFieldError(TOO_MANY_PARTS) from None
    except ValueError as error:
        raise (
            error if isinstance(error, MalformedFieldError) else MalformedFieldError(NOT_MULTIPART)
        ) from None
    return parts


def _events(body: bytes, boundary: bytes) -> Iterator[tuple[Field | File, bytes]]:
    """Yield the head and the content of each part."""
    if body.find(b"--" + boundary) > MAX_PREAMBLE:
        raise MalformedFieldError(NOT_MULTIPART)
    decoder = BoundedDecoder(boundary, max_parts=MAX_PARTS)
    decoder.receive_data(body)
    decoder.receive_data(None)
    content = bytearray()
    while not isinstance(event := decoder.next_event(), Epilogue):
        if isinstance(event, (Field, File)):
            head, content = event, bytearray()
        elif isinstance(event, Data):
            content += event.data
            if not event.more_data:
                yield head, bytes(content)


def _properties(types: Types, view: SchemaConjunction) -> dict[str, SchemaNodes]:
    """Return the schemas of the fields by name; different alternatives become an `anyOf`."""
    found: dict[str, list[SchemaNodes]] = {}
    for each in [view for view, _ in types.alternatives(view)] or [view]:
        own = types.outline(each).properties if each is view else _properties(types, each)
        for name, nodes in own.items():
            if nodes not in found.setdefault(name, []):
                found[name].append(nodes)
    return {
        name: several[0] if len(several) == 1 else ({"anyOf": [{"allOf": list(nodes)} for nodes in several]},)
        for name, several in found.items()
    }


def _is_within(field: str, rejected: tuple[str, ...]) -> bool:
    """Return whether the field, or one that contains it, is already rejected."""
    return any(field == each or field.startswith((f"{each}.", f"{each}[")) for each in rejected)


def _definition(media: Mapping[str, Any], schema: Mapping[str, Any], schemas: Schemas) -> dict[str, Any]:
    """Return the Media Type Object for Connexion's parsers, with references resolved down to the fields."""
    properties = {name: schemas.resolve(node) for name, node in schema.get("properties", {}).items()}
    return {"schema": {**schema, "properties": properties}, "encoding": media.get("encoding", {})}
