"""Parameters by the texts that they read: one text, or several pairs of a name and a text in the query."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from users_api.engine.failures import FieldError
from users_api.engine.json_text import InvalidJsonError, duplicate_name_errors, parse_json
from users_api.engine.percent import decode_percent
from users_api.engine.schemas import Schema
from users_api.engine.styles import (
    MAX_DEPTH,
    REPEATED,
    Convert,
    Decode,
    Malformed,
    SchemaConjunction,
    Shape,
    Types,
    compile_split,
    identity,
    null_text,
    parse_deep,
)

Definition = Mapping[str, Any]
Lines = list[tuple[bytes, bytes]]
Pairs = list[tuple[str, str]]
Read = Callable[[Any, Decode], Any]
JSON: Final = re.compile(r"application/(?:[^;\s]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
NOT_ENCODED: Final = "must be percent-encoded UTF-8"
TOO_DEEP: Final = "is nested too deeply"
MAX_PIECES: Final = 4_000  # Of an array or object in one parameter whose schema sets no limit.
PLAIN_STYLES: Final = {"form", "simple"}  # A primitive value is written without a prefix.
MISSING: Final = object()


class ReaderFactory(Protocol):
    """Creates the reader of values of one shape."""

    def __call__(self, shape: Shape, convert: Convert, *, nullable: bool) -> Read:
        """Return the reader."""


class Parameter:
    """A parameter that reads one text; `argument` is the name by which the handler gets its value."""

    __slots__ = (
        "argument",
        "check",
        "default",
        "fill",
        "is_nested",
        "most_items",
        "name",
        "read",
        "required",
    )

    repeats = False
    reads_pairs = False  # Whether it reads name-text pairs rather than one text.

    argument: str

    def __init__(self, definition: Definition, read: Read, schema: Schema, *, is_nested: bool) -> None:
        """Store what parsing a request needs."""
        self.name: str = definition["name"]
        self.required = definition.get("required") is True
        self.read, self.check, self.is_nested = read, schema.errors, is_nested
        self.fill: Convert = schema.fill_defaults if is_nested else identity
        self.most_items = schema.size.limit(MAX_PIECES)
        self.default: Any = MISSING

    def parse_into(
        self, source: Any, decode: Decode, found: dict[str, Any], errors: list[FieldError]
    ) -> None:
        """Add the value to the found arguments, or its errors to `errors`."""
        try:
            value = self.read(source, decode)
        except Malformed as error:
            found[self.argument] = None
            errors.append(FieldError(self.field(error.path), error.message))
            return
        if wrong := self.check(value):
            errors += [FieldError(self.field(path), message) for path, message in wrong]
        found[self.argument] = value if wrong or self.fill is identity else self.fill(value)

    def field(self, path: str) -> str:
        """Return the field name of an error at a path in the value."""
        return self.name + path if not path or path[0] == "[" else f"{self.name}.{path}"

    def label(self, name: str) -> str:
        """Return the field name of an error for a name in the query."""
        return name


class ExplodedArray(Parameter):
    """An array with one name-item pair for each item."""

    __slots__ = ()
    repeats = reads_pairs = True


class ExplodedObject(Parameter):
    """An object with one name-value pair per property; a free one also accepts undeclared names."""

    __slots__ = ("is_free", "names")
    reads_pairs = True
    is_free: bool
    names: frozenset[str]

    def label(self, name: str) -> str:
        """Return the path to the property."""
        return self.field(name)


class DeepObject(Parameter):
    """An object with one pair for each value in it, named by its path: `filter[owner][id]`."""

    __slots__ = ()
    repeats = reads_pairs = True


def text_reader(style: str, name: str, *, explode: bool) -> ReaderFactory:
    """Return the factory of readers that read one text."""

    def make(shape: Shape, convert: Convert, *, nullable: bool) -> Read:
        if shape == "primitive" and style in PLAIN_STYLES:
            return (
                (lambda text, decode: decode(text))
                if convert is identity
                else (lambda text, decode: convert(decode(text)))
            )
        split = compile_split(style, shape, name, explode=explode)
        null = null_text(style, name) if nullable else None
        return lambda text, decode: None if text == null else convert(split(text, decode))

    return make


def read_repeated(shape: Shape, convert: Convert, *, nullable: bool) -> Read:
    """Return the reader of an exploded array, or of another type that its schema allows."""

    def read(pairs: Pairs, decode: Decode) -> Any:
        texts = [decode(text) for _, text in pairs]
        if nullable and texts == ["null"]:
            return None
        if shape == "array":
            return convert(texts)
        if len(texts) > 1:
            raise Malformed(REPEATED)
        return convert(texts[0])

    return read


def read_properties(shape: Shape, convert: Convert, *, nullable: bool) -> Read:  # noqa: ARG001 -- no text is null
    """Return the reader of an exploded object."""
    return lambda pairs, decode: convert({name: decode(text) for name, text in pairs})


def read_deep(shape: Shape, convert: Convert, *, nullable: bool) -> Read:  # noqa: ARG001 -- the same
    """Return the reader of a deepObject."""
    return lambda pairs, decode: convert(_tree(pairs, decode))


def _tree(pairs: Pairs, decode: Decode) -> dict[str, Any]:
    """Return the lists of texts by their paths."""
    root: dict[str, Any] = {}
    for name, text in pairs:
        _, *way, last = parse_deep(name)
        if len(way) >= MAX_DEPTH:
            raise Malformed(TOO_DEEP)
        node = root
        for key in way:
            node = node.setdefault(key, {})
            if type(node) is not dict:
                raise Malformed(REPEATED, ".".join(way))
        texts = node.setdefault(last, [])
        if type(texts) is dict:
            raise Malformed(REPEATED, ".".join([*way, last]))
        texts.append(decode(text))
    return root


def make_reader(types: Types, view: SchemaConjunction, make: ReaderFactory) -> Read:
    """Return the reader of a schema; of several alternatives, the first that conforms is used."""
    shapes, alternatives = types.shapes(view), types.alternatives(view)
    if shapes == {"primitive"} or not alternatives:
        (shape,) = shapes
        return make(shape, types.compile(view), nullable=types.outline(view).nullable)
    tries = [(make_reader(types, each, make), check) for each, check in alternatives]

    def read(source: Any, decode: Decode) -> Any:
        values, malformed = [], None
        for attempt, check in tries:
            try:
                value = attempt(source, decode)
            except Malformed as error:
                malformed = error
                continue
            if not check(value):
                return value
            values.append(value)
        if not values and malformed:
            raise malformed
        return values[0]

    return read


def parsed_reader(convert: Convert) -> Read:
    """Return the reader of a value that one of Connexion's URI parsers has decoded and split."""
    return lambda value, _decode: convert(value)


def json_reader(max_items: int) -> Read:
    """Return the reader of a parameter whose `content` is JSON."""

    def read(text: Any, decode: Decode) -> Any:
        source = decode(text).encode()
        try:
            value = parse_json(source, max_items)
        except InvalidJsonError as error:
            raise Malformed(str(error)) from None
        for repeated in duplicate_name_errors(source, value):
            raise Malformed(repeated.message, repeated.field)
        return value

    return read


def percent_decode(text: str) -> str:
    """Decode a percent-encoded text; raise Malformed if an escape is invalid or the text is not UTF-8."""
    try:
        return decode_percent(text)
    except ValueError:
        raise Malformed(NOT_ENCODED) from None
