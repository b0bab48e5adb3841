"""Explains in linear time why a value is invalid; jsonschema-rs checks each keyword separately.

jsonschema-rs lists errors too, but it copies the value into each, which takes seconds for a large body.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Final, NamedTuple

from jsonschema_rs import Draft4Validator

from users_api.engine.failures import FieldError
from users_api.engine.keywords import OPTIONS
from users_api.engine.messages import MESSAGES, REQUIRED, UNKNOWN_PROPERTY, one_of

MAX_PATH_LENGTH: Final = 1_000  # Characters: each error in a deep value would repeat all the names above it.
EXCLUSIVE_KEYWORDS: Final = {"minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"}
ALTERNATIVE_KEYWORDS: Final = ("oneOf", "anyOf", "not")
NO_DEFAULT: Final = object()

Check = Callable[[Any], bool]


class Choice(NamedTuple):
    """`oneOf`, `anyOf` or `not`: how many schemas may accept a value, and the message otherwise."""

    least: int
    most: float
    outlines: list["CompiledSchema"]
    message: str

    def accepts(self, value: Any) -> bool:
        """Return whether an allowed number of schemas accept the value."""
        return self.least <= sum(outline.accepts(value) for outline in self.outlines) <= self.most


class CompiledSchema:
    """A schema of draft 4 as attributes; it explains errors and fills in defaults."""

    def __init__(self) -> None:
        """Start as the schema that allows everything; it may be referred to before it is complete."""
        self.message = ""
        self.checks: list[tuple[Check, str]] = []
        self.required: list[str] = []
        self.properties: dict[str, CompiledSchema] = {}
        self.additional: CompiledSchema | None = None
        self.closed = False
        self.items: CompiledSchema | None = None
        self.all: list[CompiledSchema] = []
        self.choices: list[Choice] = []
        self.default: Any = NO_DEFAULT
        self.defaults: list[tuple[str, Any]] = []
        self.fills = False

    def accepts(self, value: Any) -> bool:
        """Return whether the value conforms."""
        errors: list[FieldError] = []
        self.collect(value, "", errors)
        return not errors

    def collect(self, value: Any, path: str, errors: list[FieldError]) -> None:
        """Add every error in the value, which is located at the path."""
        found: list[FieldError] = [] if self.message else errors
        found += [FieldError(path, message) for check, message in self.checks if not check(value)]
        if isinstance(value, dict):
            self._collect_properties(value, path[:MAX_PATH_LENGTH], found)
        elif isinstance(value, list) and self.items is not None:
            for index, item in enumerate(value):
                self.items.collect(item, f"{path[:MAX_PATH_LENGTH]}[{index}]", found)
        for outline in self.all:
            outline.collect(value, path, found)
        found += [FieldError(path, choice.message) for choice in self.choices if not choice.accepts(value)]
        if self.message and found:
            errors.append(FieldError(path, self.message))

    def _collect_properties(self, value: dict[str, Any], path: str, errors: list[FieldError]) -> None:
        prefix = f"{path}." if path else ""
        errors += [FieldError(f"{prefix}{name}", REQUIRED) for name in self.required if name not in value]
        for name, inner in value.items():
            if outline := self.properties.get(name, self.additional):
                outline.collect(inner, f"{prefix}{name}", errors)
        if self.closed:
            unknown = (name for name in value if name not in self.properties)
            errors += [FieldError(f"{prefix}{name}", UNKNOWN_PROPERTY) for name in unknown]

    def applicable_schemas(self, value: Any) -> list["CompiledSchema"]:
        """Return the schemas of the value that have defaults; of alternatives, those that accept it."""
        chosen = (part for choice in self.choices if choice.least for part in choice.outlines)
        return [part for part in self.all if part.fills] + [
            part for part in chosen if part.fills and part.accepts(value)
        ]

    def fill_defaults(self, value: Any) -> None:
        """Add the missing defaults at every depth; the value must conform."""
        waiting: list[tuple[CompiledSchema, Any]] = [(self, value)]
        while waiting:
            outline, inner = waiting.pop()
            parts = [(part, inner) for part in outline.applicable_schemas(inner)]
            waiting += reversed([*outline.fill_object_defaults(inner), *parts])

    def fill_object_defaults(self, value: Any) -> list[tuple["CompiledSchema", Any]]:
        """Add the defaults of one object, and return the nested values that may lack some."""
        if isinstance(value, list) and self.items is not None and self.items.fills:
            return [(self.items, item) for item in value]
        if not isinstance(value, dict):
            return []
        for name, default in self.defaults:
            if name not in value:
                value[name] = deepcopy(default)
        inner = ((self.properties.get(name, self.additional), each) for name, each in value.items())
        return [(outline, each) for outline, each in inner if outline is not None and outline.fills]

    def subschemas(self) -> list["CompiledSchema"]:
        """Return the nested schemas, except those in `not`."""
        alternatives = [outline for choice in self.choices if choice.least for outline in choice.outlines]
        return [
            *self.properties.values(),
            *filter(None, (self.additional, self.items)),
            *self.all,
            *alternatives,
        ]


class Discriminated(CompiledSchema):
    """The schema that an object's discriminator chooses."""

    def __init__(self, name: str, targets: Mapping[str, CompiledSchema]) -> None:
        """Store the property's name and the schema for each of its values."""
        super().__init__()
        self.name, self.targets = name, targets

    def _chosen(self, value: Any) -> list[CompiledSchema]:
        key = value.get(self.name) if isinstance(value, dict) else None
        return [self.targets[key]] if isinstance(key, str) and key in self.targets else []

    def collect(self, value: Any, path: str, errors: list[FieldError]) -> None:
        """Add the errors of the chosen schema, or one error if the value chooses none."""
        if chosen := self._chosen(value):
            chosen[0].collect(value, path, errors)
        elif isinstance(value, dict):
            message = one_of(list(self.targets)) if self.name in value else REQUIRED
            errors.append(FieldError(f"{path}.{self.name}".lstrip("."), message))

    def applicable_schemas(self, value: Any) -> list[CompiledSchema]:
        """Return the chosen schema."""
        return self._chosen(value)

    def subschemas(self) -> list[CompiledSchema]:
        """Return every schema that may be chosen."""
        return list(self.targets.values())


class CompiledSchemas:
    """The outlines of all definitions, and of what they contain."""

    def __init__(self) -> None:
        """Start empty."""
        self._checks: dict[str, Check] = {}
        self._definitions: dict[str, CompiledSchema] = {}
        self._fresh: list[CompiledSchema] = []
        self._parents: dict[CompiledSchema, list[CompiledSchema]] = {}

    def add(self, definitions: Mapping[str, Mapping[str, Any]]) -> None:
        """Complete the outlines of definitions that refer to each other, or to earlier ones."""
        for key, schema in definitions.items():
            self._complete(self.definition(key), schema)
        for outline in self._fresh:
            self._link(outline)
        self._fresh.clear()

    def definition(self, key: str) -> CompiledSchema:
        """Return the outline of a definition, complete or not yet."""
        return self._definitions.setdefault(key, CompiledSchema())

    def outline(self, schema: Mapping[str, Any]) -> CompiledSchema:
        """Return the outline of a schema that may refer to definitions."""
        if "$ref" in schema:
            return self.definition(schema["$ref"].rpartition("/")[2])
        if choosing := schema.get("x-discriminator"):
            targets = {value: self.outline(target) for value, target in choosing["targets"].items()}
            outline: CompiledSchema = Discriminated(choosing["property"], targets)
            self._fresh.append(outline)
            return outline
        return self._complete(CompiledSchema(), schema)

    def _complete(self, outline: CompiledSchema, schema: Mapping[str, Any]) -> CompiledSchema:
        self._fresh.append(outline)
        outline.message = schema.get("x-message", "")
        outline.default = schema.get("default", NO_DEFAULT)
        outline.required = schema.get("required", [])
        outline.checks = [
            (self._check(schema, word), MESSAGES[word](schema)) for word in schema if word in KEYWORDS
        ]
        outline.properties = {
            name: self.outline(inner) for name, inner in schema.get("properties", {}).items()
        }
        additional = schema.get("additionalProperties")
        outline.closed = additional is False
        outline.additional = self.outline(additional) if isinstance(additional, Mapping) else None
        outline.items = self.outline(schema["items"]) if "items" in schema else None
        outline.all = [self.outline(part) for part in schema.get("allOf", ())]
        outline.choices = [self._choice(word, schema) for word in ALTERNATIVE_KEYWORDS if word in schema]
        return outline

    def _choice(self, word: str, schema: Mapping[str, Any]) -> Choice:
        least, most = {"oneOf": (1, 1), "anyOf": (1, float("inf")), "not": (0, 0)}[word]
        parts = [schema[word]] if word == "not" else schema[word]
        return Choice(least, most, [self.outline(part) for part in parts], MESSAGES[word](schema))

    def _check(self, schema: Mapping[str, Any], word: str) -> Check:
        """Return the check of a keyword, shared by all schemas with the same value of it."""
        exclusive = EXCLUSIVE_KEYWORDS.get(word, word)
        rule = {name: schema[name] for name in (word, exclusive) if name in schema}
        text = repr(rule)
        if (check := self._checks.get(text)) is None:
            check = self._checks[text] = Draft4Validator(rule, **OPTIONS).is_valid
        return check

    def _link(self, outline: CompiledSchema) -> None:
        """Record the defaults of the outline's properties, and pass them to the containing outlines."""
        for child in outline.subschemas():
            self._parents.setdefault(child, []).append(outline)
        outline.defaults = [
            (name, inner.default)
            for name, inner in outline.properties.items()
            if inner.default is not NO_DEFAULT
        ]
        if outline.defaults or any(child.fills for child in outline.subschemas()):
            self._fill(outline)

    def _fill(self, outline: CompiledSchema) -> None:
        waiting = [outline]
        while waiting:
            outline = waiting.pop()
            if not outline.fills:
                outline.fills = True
                waiting += self._parents.get(outline, ())


KEYWORDS: Final = MESSAGES.keys() - set(ALTERNATIVE_KEYWORDS)
