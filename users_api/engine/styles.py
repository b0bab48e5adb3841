"""The serialization of parameters: a style splits a text, and the schema's types convert the parts.

Percent-decoding comes after splitting, so an encoded delimiter is part of a value (RFC 6570, 3.2.1).
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Any, Final, Literal, NamedTuple

from users_api.engine.failures import DocumentError, FieldError
from users_api.engine.json_text import too_many_items
from users_api.engine.schemas import Direction, Schemas
from users_api.engine.sizes import MAX_LIMIT

Decode = Callable[[str], str]
Split = Callable[[str, Decode], Any]
Convert = Callable[[Any], Any]
Node = Mapping[str, Any]
Check = Callable[[Any], Sequence[FieldError]]
Shape = Literal["primitive", "array", "object"]

STYLES: Final[dict[str, tuple[str, ...]]] = {  # The first is the default of its location.
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}
ANYTHING: Final[Node] = {}
REPEATED: Final = "is given more than once"
MAX_DEPTH: Final = (
    32  # Brackets in the name of a deepObject's property; limited because parsing is recursive.
)
INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,17}")
LONG_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,99}")
SHORT_INTEGER_BOUND: Final = 10**18
NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
BOOLEANS: Final = {"true": True, "false": False}
DELIMITERS: Final = {"spaceDelimited": re.compile(r"%20|\+| "), "pipeDelimited": re.compile(r"\||%7[Cc]")}


class Malformed(ValueError):  # noqa: N818 -- named for what the text is
    """A text is not serialized in its style; `path` leads from the parameter to the malformed part."""

    def __init__(self, message: str, path: str = "") -> None:
        """Keep both."""
        self.message, self.path = message, path
        super().__init__(message)


def compile_split(style: str, shape: Shape, name: str, *, explode: bool) -> Split:
    """Return the function that splits one text into a text, a list or a dict, or raises Malformed."""
    if shape == "primitive":
        return _primitive(style, name)
    pieces = _pieces(style, name, explode=explode, named=explode and shape == "array")
    if shape == "array":
        return lambda text, decode: [decode(piece) for piece in pieces(text)]
    pairs = _exploded_pairs if explode else _flat_pairs

    def split(text: str, decode: Decode) -> dict[str, str]:
        found: dict[str, str] = {}
        for key, value in pairs(pieces(text), style):
            if (decoded := decode(key)) in found:
                raise Malformed(REPEATED, decoded)
            found[decoded] = decode(value)
        return found

    return split


def null_text(style: str, name: str) -> str:
    """Return the text for null in styles that write the whole value as one text."""
    return {"label": ".null", "matrix": f";{name}=null"}.get(style, "null")


def _style_error(style: str) -> Malformed:
    return Malformed(f"must be serialized in style {style}")


def _primitive(style: str, name: str) -> Split:
    if style == "label":
        return lambda text, decode: decode(_after(text, ".", style))
    if style == "matrix":
        return lambda text, decode: "" if text == f";{name}" else decode(_after(text, f";{name}=", style))
    return lambda text, decode: decode(text)


def _after(text: str, prefix: str, style: str) -> str:
    if not text.startswith(prefix):
        raise _style_error(style)
    return text[len(prefix) :]


def _pieces(style: str, name: str, *, explode: bool, named: bool) -> Callable[[str], list[str]]:
    """Return the function that splits a text at its delimiters; `named`: each item repeats the name."""
    if style in DELIMITERS:
        return DELIMITERS[style].split
    if style == "label":
        return _exploded_labels if explode else _labels
    if style != "matrix":
        return lambda text: text.split(",")
    if named:
        return lambda text: [
            _after(piece, f"{name}=", style) for piece in _after(text, ";", style).split(";")
        ]
    if explode:
        return lambda text: _after(text, ";", style).split(";")
    return lambda text: _after(text, f";{name}=", style).split(",")


def _exploded_labels(text: str) -> list[str]:
    return _after(text, ".", "label").split(".")


def _labels(text: str) -> list[str]:
    """Split at commas, as in RFC 6570 and OpenAPI 3.0.4, or without commas at dots, as in OpenAPI 3.0.3."""
    rest = _after(text, ".", "label")
    return rest.split("," if "," in rest else ".")


def _flat_pairs(pieces: list[str], style: str) -> list[tuple[str, str]]:
    if len(pieces) % 2:
        raise _style_error(style)
    return list(zip(pieces[::2], pieces[1::2], strict=True))


def _exploded_pairs(pieces: list[str], style: str) -> list[tuple[str, str]]:
    if not all("=" in piece for piece in pieces):
        raise _style_error(style)
    return [(key, value) for key, _, value in (piece.partition("=") for piece in pieces)]


def parse_deep(name: str) -> list[str]:
    """Return the name and the path of a parameter like `filter[owner][id]`, otherwise an empty list."""
    base, bracket, rest = name.partition("[")
    keys = rest[:-1].split("][")
    if (
        not bracket
        or not rest.endswith("]")
        or not all(keys)
        or any("[" in key or "]" in key for key in keys)
    ):
        return []
    return [base, *keys]


class SchemaConjunction(NamedTuple):
    """Schemas that apply to one value, and identities of the `oneOf` and `anyOf` lists already used."""

    nodes: tuple[Node, ...]
    taken: frozenset[int] = frozenset()


class TypeOutline:
    """The combined type of a view's schemas; `$ref` and `allOf` are followed."""

    __slots__ = (
        "additional",
        "choices",
        "enum",
        "format",
        "items",
        "maximum",
        "minimum",
        "nullable",
        "properties",
        "type",
    )

    def __init__(self, view: SchemaConjunction, schemas: Schemas) -> None:
        """Read the schemas."""
        self.type: str | None = None
        self.format: str | None = None
        self.enum: list[Any] | None = None
        self.minimum, self.maximum = -math.inf, math.inf
        self.items: tuple[Node, ...] = ()
        self.additional: tuple[Node, ...] = ()
        self.properties: dict[str, tuple[Node, ...]] = {}
        self.choices: list[list[Node]] = []
        found = parts(view.nodes, schemas)
        for part in found:
            self._add_type(part)
            self._add_children(part)
            self.choices += [
                part[word] for word in ("oneOf", "anyOf") if word in part and id(part[word]) not in view.taken
            ]
        typed = [part for part in found if "type" in part]
        self.nullable = bool(typed) and all(part.get("nullable") is True for part in typed)
        self.type = self.type or self._implied_type()

    def _add_type(self, part: Node) -> None:
        if "type" in part and self.type != "integer":
            self.type = part["type"]
        self.format = part.get("format", self.format)
        self.enum = part.get("enum", self.enum)
        self.minimum = max(self.minimum, part.get("minimum", self.minimum))
        self.maximum = min(self.maximum, part.get("maximum", self.maximum))

    def _add_children(self, part: Node) -> None:
        if "items" in part:
            self.items += (part["items"],)
        additional = part.get("additionalProperties")
        if isinstance(additional, Mapping) or additional is True:
            self.additional += (ANYTHING if additional is True else additional,)
        for name, schema in part.get("properties", {}).items():
            self.properties[name] = (*self.properties.get(name, ()), schema)

    def _implied_type(self) -> str | None:
        """Return the type that the keywords of a schema without `type` imply."""
        if self.choices:
            return None
        return "array" if self.items else "object" if self.properties or self.additional else None

    @property
    def shape(self) -> Shape:
        """Return how a text of this type is split."""
        return "array" if self.type == "array" else "object" if self.type == "object" else "primitive"

    @property
    def is_short(self) -> bool:
        """Return whether every conforming integer has at most 18 digits."""
        return self.format == "int32" or (
            self.minimum > -SHORT_INTEGER_BOUND and self.maximum < SHORT_INTEGER_BOUND
        )


def parts(nodes: tuple[Node, ...], schemas: Schemas) -> list[Node]:
    """Return the schemas with those in their `allOf`, each once."""
    found: dict[int, Node] = {}
    waiting = list(reversed(nodes))
    while waiting:
        node = schemas.resolve(waiting.pop())
        if id(node) not in found:
            found[id(node)] = node
            waiting += reversed(node.get("allOf", ()))
    return list(found.values())


class DeferredConversion:
    """A placeholder for a conversion that is still being compiled, because its schema contains itself."""

    __slots__ = ("convert",)

    def __init__(self) -> None:
        """Delegate to `convert`, which is set later."""
        self.convert: Convert = self._convert

    def _convert(self, raw: Any) -> Any:
        return self.convert(raw)


class Types:
    """Compiles the conversion of one parameter's texts to values of its schema's types.

    A text that is not a value of its type stays a string, which the schema then rejects.
    """

    def __init__(
        self,
        schemas: Schemas,
        pointer: str,
        *,
        deep: bool = False,
        strict: bool = False,
        most_items: int = MAX_LIMIT,
    ) -> None:
        """`deep`: convert trees of lists of texts, for deepObject; `strict`: reject repeated texts.

        An array or object with more than `most_items` texts is rejected.
        """
        self._schemas, self._pointer, self._deep, self._strict = schemas, pointer, deep, strict
        self.most_items = most_items
        self._compiled: dict[tuple[tuple[int, ...], frozenset[int]], DeferredConversion] = {}

    def outline(self, view: SchemaConjunction) -> TypeOutline:
        """Return the outline of a view."""
        return TypeOutline(view, self._schemas)

    def alternatives(self, view: SchemaConjunction) -> list[tuple[SchemaConjunction, Check]]:
        """Return each alternative of the first `oneOf` or `anyOf`, with the validation against it alone."""
        choices = self.outline(view).choices
        if not choices:
            return []
        taken = view.taken | {id(choices[0])}
        return [
            (SchemaConjunction((*view.nodes, schema), taken), self._check(schema)) for schema in choices[0]
        ]

    def _check(self, schema: Node) -> Check:
        check: Check = self._schemas.compile(schema, self._pointer, Direction.REQUEST).errors
        return check

    def shapes(self, view: SchemaConjunction) -> set[Shape]:
        """Return the shapes of the values, several if the alternatives differ."""
        alternatives = self.alternatives(view)
        return (
            set().union(*(self.shapes(each) for each, _ in alternatives))
            if alternatives
            else {self.outline(view).shape}
        )

    def compile(self, view: SchemaConjunction) -> Convert:
        """Return the conversion; a schema may contain itself."""
        key = (tuple(id(self._schemas.resolve(node)) for node in view.nodes), view.taken)
        if key not in self._compiled:
            cell = self._compiled[key] = DeferredConversion()
            cell.convert = self._compile(view)
        return self._compiled[key].convert

    def _compile(self, view: SchemaConjunction) -> Convert:
        if tries := [(self.compile(each), check) for each, check in self.alternatives(view)]:
            return _first_valid(tries)
        outline = self.outline(view)
        if outline.shape == "object":
            return self._object(outline)
        if outline.shape == "array":
            return self._array(outline)
        leaf = _nullable(_leaf(outline)) if outline.nullable else _leaf(outline)
        return self._single(leaf) if self._deep else leaf

    def _array(self, outline: TypeOutline) -> Convert:
        items = SchemaConjunction(outline.items)
        self._refuse_nesting(items)
        convert = Types(self._schemas, self._pointer).compile(items)

        def convert_items(raw: Any) -> Any:
            if type(raw) is not list:
                return _first_texts(raw)
            self._check_length(raw)
            return [convert(each) for each in raw]

        return convert_items

    def _object(self, outline: TypeOutline) -> Convert:
        if not self._deep:
            for nodes in (*outline.properties.values(), outline.additional):
                self._refuse_nesting(SchemaConjunction(nodes))
        table = {name: self.compile(SchemaConjunction(nodes)) for name, nodes in outline.properties.items()}
        other = self.compile(SchemaConjunction(outline.additional)) if outline.additional else _first_texts

        def convert(raw: Any) -> Any:
            if type(raw) is not dict:
                return _first_texts(raw)
            self._check_length(raw)
            return {name: _within(name, table.get(name, other), value) for name, value in raw.items()}

        return convert

    def _check_length(self, raw: Sized) -> None:
        if len(raw) > self.most_items:
            raise Malformed(too_many_items(self.most_items))

    def _refuse_nesting(self, view: SchemaConjunction) -> None:
        if self.shapes(view) != {"primitive"}:
            raise DocumentError(
                self._pointer,
                "OpenAPI does not define how nested arrays and objects of a parameter are serialized",
                "write `content` with application/json",
            )

    def _single(self, leaf: Convert) -> Convert:
        def convert(raw: Any) -> Any:
            if type(raw) is list and len(raw) > 1 and self._strict:
                raise Malformed(REPEATED)
            return leaf(_first_texts(raw))

        return convert


def _within(name: str, convert: Convert, raw: Any) -> Any:
    try:
        return convert(raw)
    except Malformed as error:
        raise Malformed(error.message, f"{name}.{error.path}".rstrip(".")) from None


def _first_texts(raw: Any) -> Any:
    """Return a tree of lists of texts as a tree of texts; of repeated texts the first, as in Connexion."""
    if type(raw) is dict:
        return {name: _first_texts(value) for name, value in raw.items()}
    return raw[0] if type(raw) is list and raw else raw


def _first_valid(tries: list[tuple[Convert, Check]]) -> Convert:
    def convert(raw: Any) -> Any:
        for attempt, check in tries:
            if not check(value := attempt(raw)):
                return value
        return tries[0][0](raw)

    return convert


def _nullable(convert: Convert) -> Convert:
    return lambda raw: None if raw == "null" else convert(raw)


def _leaf(outline: TypeOutline) -> Convert:
    if outline.type == "integer":
        return _short_integer if outline.is_short else _integer
    if outline.type == "number":
        return _number
    if outline.type == "boolean":
        return lambda raw: BOOLEANS.get(raw, raw) if type(raw) is str else raw
    if outline.type is None and outline.enum:
        return _enum_member(outline.enum)
    return identity


def identity(raw: Any) -> Any:
    """Return the text unchanged."""
    return raw


def _short_integer(raw: Any) -> Any:
    return int(raw) if type(raw) is str and INTEGER.fullmatch(raw) else raw


def _integer(raw: Any) -> Any:
    return int(raw) if type(raw) is str and LONG_INTEGER.fullmatch(raw) else raw


def _number(raw: Any) -> Any:
    if type(raw) is str and NUMBER.fullmatch(raw) and math.isfinite(number := float(raw)):
        return number
    return raw


def _enum_member(enum: list[Any]) -> Convert:
    """Return the conversion of a text to the `enum` member that it represents, for schemas without a type."""
    members = {json.dumps(member): member for member in enum if not isinstance(member, str)}
    members |= {member: member for member in enum if isinstance(member, str)}
    return lambda raw: members.get(raw, raw) if type(raw) is str else raw
