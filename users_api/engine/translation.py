"""Translates OpenAPI 3.0 schemas to JSON Schema draft 4, with three extensions for errors.

`x-message` replaces every error of its schema by one message; `x-discriminator` maps values to schemas;
`x-keyword` is the document's own keyword, where the translation uses others.
`nullable` has an effect only together with `type`, and no other keyword allows null (OpenAPI 3.0.4).
Formats other than those in `formats.py`, among them `binary` and `password`, are annotations.
Siblings of `$ref` are ignored, as the specification requires.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from enum import Enum
from math import inf
from typing import Any, Final, NamedTuple

from users_api.engine.discriminators import Discriminators, Node, alternatives_keyword, is_reference, members
from users_api.engine.failures import DocumentError
from users_api.engine.formats import FORMATS
from users_api.engine.keywords import needs_backtracking, without_duplicates
from users_api.engine.messages import HIDDEN_MESSAGES, NOT_OBJECT
from users_api.engine.yaml_source import child_pointer

COPIED: Final = (
    "minLength", "maxLength", "minimum", "maximum", "multipleOf", "pattern", "minItems", "maxItems",
    "uniqueItems", "minProperties", "maxProperties",
)  # fmt: skip
COMBINED: Final = ("allOf", "oneOf", "anyOf")
MAX_BACKTRACKED_LENGTH: Final = 10_000  # Such a pattern may take quadratic time.
NO_NAMES: Final[frozenset[str]] = frozenset()
DEFINITIONS_PREFIX: Final = "#/definitions/"


class Direction(Enum):
    """Whether a value is sent or received; the member's value is the keyword that forbids a property."""

    REQUEST = "readOnly"
    RESPONSE = "writeOnly"


class SchemaUse(NamedTuple):
    """How a schema is used: `plain` leaves out its discriminator; the names in `omitted` are not required."""

    node: Node
    plain: bool = False
    omitted: frozenset[str] = NO_NAMES

    @property
    def identity(self) -> tuple[int, bool, frozenset[str]]:
        """Return a key that identifies this use."""
        return id(self.node.schema), self.plain, self.omitted


class TranslationContext(NamedTuple):
    """The context of a translation: the definition for the same value, and the enclosing schema."""

    key: str | None
    whole: Mapping[str, Any] | None
    omitted: frozenset[str] = NO_NAMES


class Translation(NamedTuple):
    """The key of a schema's definition, the definitions created for it, and their defaults with pointers."""

    key: str
    definitions: dict[str, dict[str, Any]]
    defaults: list[tuple[str, dict[str, Any]]]


class Translator:
    """Translates schemas, and the schemas they refer to, into definitions, each once."""

    def __init__(self, references: Discriminators, direction: Direction) -> None:
        """Start without definitions."""
        self.definitions: dict[str, dict[str, Any]] = {}
        self._references = references
        self._hidden_by = direction.value
        # Skips the slow search if the document has no such property.
        self._hides = self._hidden_by in str(references.root)
        self._defaults: list[tuple[str, dict[str, Any]]] = []
        self._uses: dict[tuple[int, bool, frozenset[str]], tuple[str, SchemaUse]] = {}
        self._waiting: deque[tuple[str, SchemaUse]] = deque()
        self._inner: dict[str, list[str]] = {}

    def translate(self, schema: Mapping[str, Any], pointer: str) -> Translation:
        """Translate a schema and the schemas that it refers to.

        Raises:
            DocumentError: a keyword of the schema cannot be enforced.
        """
        self._hides = self._hides or self._hidden_by in str(schema)
        key = self._define(SchemaUse(self._references.follow(schema, pointer)))
        found: dict[str, dict[str, Any]] = {}
        places: dict[str, str] = {}
        self._defaults = []
        while self._waiting:
            name, use = self._waiting.popleft()
            self._inner[name], places[name] = [], use.node.pointer
            found[name] = self._definition(name, use)
        self._reject_cycles(places)
        self.definitions |= found
        return Translation(key, found, self._defaults)

    def _define(self, use: SchemaUse) -> str:
        if use.identity not in self._uses:
            self._uses[use.identity] = (str(len(self._uses)), use)
            self._waiting.append(self._uses[use.identity])
        return self._uses[use.identity][0]

    def _refer(self, use: SchemaUse, key: str | None = None) -> dict[str, str]:
        """Return a reference; `key` is that of a definition for the same value."""
        target = self._define(use)
        if key is not None:
            self._inner[key].append(target)
        return {"$ref": f"{DEFINITIONS_PREFIX}{target}"}

    def _reject_cycles(self, places: Mapping[str, str]) -> None:
        """Reject a schema that contains itself with nothing in between: its validation would not end."""
        finished: set[str] = set()
        for start in places:
            trail = {start: iter(self._inner[start])}
            while trail:
                name, inner = next(reversed(trail.items()))
                following = next((each for each in inner if each not in finished), None)
                if following is None:
                    finished.add(name)
                    del trail[name]
                elif following in trail:
                    raise DocumentError(
                        places[following], "a schema contains itself", "put a property or an item between"
                    )
                else:
                    trail[following] = iter(self._inner[following])

    def _definition(self, key: str, use: SchemaUse) -> dict[str, Any]:
        schema, pointer = use.node
        self._references.check(use.node)
        if "discriminator" not in schema:
            return self._schema(use.node, TranslationContext(key, schema, use.omitted))
        if use.plain:
            left_out = ("discriminator", "default", alternatives_keyword(schema))
            rest = {keyword: value for keyword, value in schema.items() if keyword not in left_out}
            return self._schema(Node(rest, pointer), TranslationContext(key, schema, use.omitted))
        translated = {"allOf": [self._refer(use._replace(plain=True), key), *self._chosen(key, use)]}
        return self._with_default(use.node, translated)

    def _chosen(self, key: str, use: SchemaUse) -> Iterator[dict[str, Any]]:
        """Yield the schemas for values that are not objects, and the discriminator's choice for objects."""
        schema, targets = use.node.schema, self._references.targets(use.node)
        name = schema["discriminator"]["propertyName"]
        if keyword := alternatives_keyword(schema):
            any_kind = {keyword: [self._variant(node, key, use) for node in members(*use.node, keyword)]}
            yield {"anyOf": [{"type": "object"}, any_kind], "x-message": NOT_OBJECT, "x-keyword": "type"}
        references = {value: self._variant(node, key, use) for value, node in targets.items()}
        cases = [
            {"anyOf": [{"not": {"properties": {name: {"enum": [value]}}}}, reference]}
            for value, reference in references.items()
        ]
        known = {"required": [name], "properties": {name: {"enum": list(references)}}, "allOf": cases}
        yield {
            "anyOf": [{"not": {"type": "object"}}, known],
            "x-discriminator": {"property": name, "targets": references},
            "x-keyword": "discriminator",
        }

    def _variant(self, member: Node, key: str, use: SchemaUse) -> dict[str, str]:
        """Return a reference to an alternative, without its discriminator if it is the whole schema."""
        node = self._references.follow(*member)
        plain = node.schema is use.node.schema
        return self._refer(SchemaUse(node, plain, self._required_names(node, use.omitted)), key)

    def _schema(self, node: Node, frame: TranslationContext) -> dict[str, Any]:
        schema = node.schema
        frame = frame._replace(omitted=frame.omitted | self._hidden_names(node))
        translated = {keyword: schema[keyword] for keyword in COPIED if keyword in schema}
        translated |= _rewritten_keywords(schema)
        if self._hidden_by == Direction.REQUEST.value and needs_backtracking(schema.get("pattern", "")):
            translated["maxLength"] = min(MAX_BACKTRACKED_LENGTH, schema.get("maxLength", inf))
        if required := [
            name for name in dict.fromkeys(schema.get("required", ())) if name not in frame.omitted
        ]:
            translated["required"] = required
        translated |= self._children(node, frame)
        for keyword in COMBINED:
            if keyword in schema:
                translated[keyword] = [
                    self._combined(member, frame, keyword) for member in members(*node, keyword)
                ]
        if (name := schema.get("format")) in FORMATS and not _is_implied(FORMATS[name], schema):
            format_ = FORMATS[name] | {"x-message": f"must be a valid {name}", "x-keyword": "format"}
            translated["allOf"] = [format_, *translated.get("allOf", ())]
        return self._with_default(node, translated)

    def _with_default(self, node: Node, translated: dict[str, Any]) -> dict[str, Any]:
        if "default" in node.schema:
            translated["default"] = node.schema["default"]
            self._defaults.append((f"{node.pointer}/default", translated))
        return translated

    def _children(self, node: Node, frame: TranslationContext) -> dict[str, Any]:
        """Return the keywords whose schemas apply to nested values, and `not`."""
        schema, pointer = node
        inside = TranslationContext(None, None)
        found: dict[str, Any] = {}
        if "properties" in schema:
            found["properties"] = {
                name: self._property(Node(inner, child_pointer(f"{pointer}/properties", name)), inside)
                for name, inner in schema["properties"].items()
            }
        if (additional := schema.get("additionalProperties", True)) is False:
            found["additionalProperties"] = False
        elif additional is not True:
            found["additionalProperties"] = self._inner_value(
                Node(additional, f"{pointer}/additionalProperties"), inside
            )
        if "items" in schema:
            found["items"] = self._inner_value(Node(schema["items"], f"{pointer}/items"), inside)
        if "not" in schema:
            found["not"] = self._combined(
                Node(schema["not"], f"{pointer}/not"), TranslationContext(frame.key, None), "not"
            )
        return found

    def _property(self, member: Node, frame: TranslationContext) -> dict[str, Any]:
        if self._is_hidden(member):
            hidden = self._hidden_by
            return {"not": {}, "x-message": HIDDEN_MESSAGES[hidden], "x-keyword": hidden}
        return self._inner_value(member, frame)

    def _inner_value(self, member: Node, frame: TranslationContext) -> dict[str, Any]:
        """Translate the schema of a property or an item, which may refer to the enclosing schema."""
        node = self._references.follow(*member)
        if is_reference(member.schema) or "discriminator" in node.schema:
            return self._refer(SchemaUse(node))
        self._references.check(node)
        return self._schema(node, frame)

    def _combined(self, member: Node, frame: TranslationContext, keyword: str) -> dict[str, Any]:
        """Translate a schema of the same value."""
        node = self._references.follow(*member)
        if is_reference(member.schema) or "discriminator" in node.schema:
            plain = keyword == "allOf" and self._extends(frame.whole, node)
            return self._refer(SchemaUse(node, plain, self._required_names(node, frame.omitted)), frame.key)
        self._references.check(node)
        return self._schema(node, frame if keyword == "allOf" else frame._replace(whole=None))

    def _extends(self, whole: Mapping[str, Any] | None, node: Node) -> bool:
        """Return whether the enclosing schema extends this one, so the discriminator is already applied."""
        if whole is None or "discriminator" not in node.schema:
            return False
        return any(target.schema is whole for target in self._references.targets(node).values())

    def _required_names(self, node: Node, omitted: frozenset[str]) -> frozenset[str]:
        """Return the required names of this schema, without those that it omits itself."""
        if not omitted:
            return NO_NAMES
        parts = self._references.applied_subschemas(node, *COMBINED)
        required = frozenset(name for part in parts for name in part.schema.get("required", ()))
        return (omitted & required) - self._hidden_names(node)

    def _hidden_names(self, node: Node) -> frozenset[str]:
        if not self._hides:
            return NO_NAMES
        return frozenset(
            name
            for part in self._references.applied_subschemas(node, *COMBINED)
            for name, inner in part.schema.get("properties", {}).items()
            if self._is_hidden(Node(inner, child_pointer(f"{part.pointer}/properties", name)))
        )

    def _is_hidden(self, member: Node) -> bool:
        return self._hides and any(
            part.schema.get(self._hidden_by) is True
            for part in self._references.applied_subschemas(member, "allOf")
        )


def _rewritten_keywords(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords that draft 4 writes differently."""
    found: dict[str, Any] = {}
    if "type" in schema:
        found["type"] = [schema["type"], "null"] if schema.get("nullable") else schema["type"]
    if "enum" in schema:
        found["enum"] = without_duplicates(schema["enum"])
    return found | {name: True for name in ("exclusiveMinimum", "exclusiveMaximum") if schema.get(name)}


def _is_implied(format_: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    """Return whether an integer's own bounds lie within those of its format, so that one error is enough."""
    bounds = (schema.get("minimum"), schema.get("maximum"))
    if schema.get("type") != "integer" or "maximum" not in format_ or None in bounds:
        return False
    least, most = bounds
    return bool(format_["minimum"] <= least and most <= format_["maximum"])
