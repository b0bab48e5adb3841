"""Explains in linear time why a value is invalid; jsonschema-rs checks each keyword separately.

jsonschema-rs lists errors too, but it copies the value into each, which takes seconds for a large body.
"""

import operator
from collections.abc import Callable, Mapping, Sized
from copy import deepcopy
from functools import partial
from itertools import islice
from math import inf
from typing import Any, Final, NamedTuple

from jsonschema_rs import Draft4Validator

from users_api.engine.failures import FieldError
from users_api.engine.keywords import OPTIONS, needs_backtracking
from users_api.engine.messages import MAX_ERRORS, MESSAGES, NOT_CONFORMING, REQUIRED, UNKNOWN_PROPERTY, one_of

MAX_PATH_LENGTH: Final = 1_000  # Characters: each error in a deep value would repeat all the names above it.
EXCLUSIVE_KEYWORDS: Final = {"minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"}
ALTERNATIVE_KEYWORDS: Final = ("oneOf", "anyOf", "not")
NO_DEFAULT: Final = object()

MAX_VISITS: Final = 20_000  # One for each schema of each value; twice as many take about 0.1 s.
Check = Callable[[Any], bool]


class SearchTooLong(Exception):  # noqa: N818 -- not an error of the value: the search for errors ends.
    """More than MAX_VISITS schemas of values were visited."""


class Verdicts(dict[tuple[int, int], bool]):
    """Whether an object or array conforms to a schema, by their identities; it also counts the visits."""

    def __init__(self, max_visits: float = MAX_VISITS) -> None:
        """Start empty."""
        super().__init__()
        self._left = max_visits

    def count_visit(self) -> None:
        """Count a visit; raise SearchTooLong if there were too many."""
        self._left -= 1
        if self._left < 0:
            raise SearchTooLong


class ErrorList(list[FieldError]):
    """Errors in the order in which they are found; the search ends when the list is full.

    Several parts of a schema may refer to the same schema for the same value. It is visited once; otherwise
    the time would double with each level of a recursive schema.
    """

    def __init__(self, verdicts: Verdicts | None = None) -> None:
        """Start empty. With verdicts about other values, only whether there is an error matters."""
        super().__init__()
        self._is_verdict = verdicts is not None
        self.limit = 1 if self._is_verdict else MAX_ERRORS
        self.verdicts = Verdicts() if verdicts is None else verdicts
        self._visited: set[tuple[int, int, str]] = set()

    @property
    def is_full(self) -> bool:
        """Whether further errors are of no interest."""
        return len(self) >= self.limit

    @property
    def room(self) -> int:
        """How many more errors are of interest."""
        return max(0, self.limit - len(self))

    def knows(self, outline: "CompiledSchema", value: Any, path: str) -> bool:
        """Return whether the errors of a schema in an object or array are in the list already."""
        if not self._is_verdict:
            visit = (id(outline), id(value), path)
            is_known = visit in self._visited
            self._visited.add(visit)
            return is_known
        verdict = self.verdicts.get((id(outline), id(value)))
        if verdict is False:
            self.append(FieldError(path, NOT_CONFORMING))
        return verdict is not None

    def conclude(self, outline: "CompiledSchema", value: Any) -> None:
        """Remember the verdict about the value; the list was empty before."""
        if self._is_verdict:
            self.verdicts[id(outline), id(value)] = not self


class Choice(NamedTuple):
    """`oneOf`, `anyOf` or `not`: how many of its schemas accept a value, and the message otherwise.

    After `enough` schemas have accepted the value, the others do not matter.
    """

    expected: int
    enough: int
    outlines: list["CompiledSchema"]
    message: str

    def accepts(self, value: Any, verdicts: Verdicts) -> bool:
        """Return whether the expected number of schemas accept the value."""
        accepting = (True for outline in self.outlines if outline.accepts(value, verdicts))
        return sum(islice(accepting, self.enough)) == self.expected


class CompiledSchema:
    """A schema of draft 4 as attributes; it explains errors and fills in defaults."""

    def __init__(self) -> None:
        """Start as the schema that allows everything; it may be referred to before it is complete."""
        self.message = ""
        self.checks: list[tuple[Check, str]] = []
        self.container_checks: list[tuple[Check, str]] = []
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

    def accepts(self, value: Any, verdicts: Verdicts) -> bool:
        """Return whether the value conforms; the verdicts about the values in it are remembered."""
        errors = ErrorList(verdicts)
        self.collect(value, "", errors)
        return not errors

    def collect(self, value: Any, path: str, errors: ErrorList) -> None:
        """Add the errors in the value, which is located at the path, until the list is full.

        Raises:
            SearchTooLong: the errors found so far are in the list.
        """
        if len(errors) >= errors.limit:
            return
        errors.verdicts.count_visit()
        is_container = isinstance(value, (dict, list))
        if is_container and errors.knows(self, value, path):
            return
        found = ErrorList(errors.verdicts) if self.message else errors
        checks = self.container_checks if is_container else self.checks
        found += [FieldError(path, message) for check, message in checks if not check(value)]
        if isinstance(value, dict) and not found.is_full:
            self._collect_properties(value, path[:MAX_PATH_LENGTH], found)
        elif isinstance(value, list) and self.items is not None:
            self._collect_items(self.items, value, path[:MAX_PATH_LENGTH], found)
        for outline in self.all:
            outline.collect(value, path, found)
        for choice in self.choices:
            if not found.is_full and not choice.accepts(value, errors.verdicts):
                found.append(FieldError(path, choice.message))
        if self.message and found:
            errors.append(FieldError(path, self.message))
        if is_container:
            errors.conclude(self, value)

    def _collect_items(
        self, outline: "CompiledSchema", value: list[Any], path: str, errors: ErrorList
    ) -> None:
        for index, item in enumerate(value):
            if errors.is_full:
                return
            outline.collect(item, f"{path}[{index}]", errors)

    def _collect_properties(self, value: dict[str, Any], path: str, errors: ErrorList) -> None:
        prefix = f"{path}." if path else ""
        errors += [FieldError(f"{prefix}{name}", REQUIRED) for name in self.required if name not in value]
        for name, inner in value.items():
            if errors.is_full:
                return
            if outline := self.properties.get(name, self.additional):
                outline.collect(inner, f"{prefix}{name}", errors)
        if self.closed:
            unknown = islice((name for name in value if name not in self.properties), errors.room)
            errors += [FieldError(f"{prefix}{name}", UNKNOWN_PROPERTY) for name in unknown]

    def applicable_schemas(self, value: Any, verdicts: Verdicts) -> list["CompiledSchema"]:
        """Return the schemas of the value that have defaults; of alternatives, those that accept it."""
        chosen = (part for choice in self.choices if choice.expected for part in choice.outlines)
        return [part for part in self.all if part.fills] + [
            part for part in chosen if part.fills and part.accepts(value, verdicts)
        ]

    def fill_defaults(self, value: Any) -> None:
        """Add the missing defaults at every depth; the value must conform."""
        waiting: list[tuple[CompiledSchema, Any]] = [(self, value)]
        verdicts = Verdicts(inf)
        filled: set[tuple[int, int]] = set()
        while waiting:
            outline, inner = waiting.pop()
            if (id(outline), id(inner)) in filled:
                continue
            filled.add((id(outline), id(inner)))
            parts = [(part, inner) for part in outline.applicable_schemas(inner, verdicts)]
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
        alternatives = [outline for choice in self.choices if choice.expected for outline in choice.outlines]
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

    def collect(self, value: Any, path: str, errors: ErrorList) -> None:
        """Add the errors of the chosen schema, or one error if the value chooses none."""
        if chosen := self._chosen(value):
            chosen[0].collect(value, path, errors)
        elif isinstance(value, dict):
            message = one_of(list(self.targets)) if self.name in value else REQUIRED
            errors.append(FieldError(f"{path}.{self.name}".lstrip("."), message))

    def applicable_schemas(self, value: Any, _verdicts: Verdicts) -> list[CompiledSchema]:
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
        words = [word for word in schema if word in KEYWORDS]
        outline.checks = [
            (self._check(schema, word), MESSAGES[word](schema)) for word in words if word not in OF_CONTAINERS
        ]
        outline.container_checks = [
            (_container_check(word, schema[word], self._check(schema, word)), MESSAGES[word](schema))
            for word in words
            if word in OF_CONTAINERS | OF_ALL
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
        expected, enough = {"oneOf": (1, 2), "anyOf": (1, 1), "not": (0, 1)}[word]
        parts = [schema[word]] if word == "not" else schema[word]
        return Choice(expected, enough, [self.outline(part) for part in parts], MESSAGES[word](schema))

    def _check(self, schema: Mapping[str, Any], word: str) -> Check:
        """Return the check of a keyword, shared by all schemas with the same value of it."""
        exclusive = EXCLUSIVE_KEYWORDS.get(word, word)
        rule = {name: schema[name] for name in (word, exclusive) if name in schema}
        text = repr(rule)
        if (check := self._checks.get(text)) is None:
            check = self._checks[text] = Draft4Validator(rule, **OPTIONS).is_valid
        if word == "pattern" and "maxLength" in schema and needs_backtracking(schema[word]):
            return partial(_is_long_or_valid, schema["maxLength"], check)
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


def _container_check(word: str, rule: Any, validate: Check) -> Check:
    """Return the check of one keyword for objects and arrays.

    jsonschema-rs would convert a whole object to look at its type or size.
    """
    if word == "type":
        types = [rule] if isinstance(rule, str) else rule
        return lambda value: ("object" if isinstance(value, dict) else "array") in types
    if word in SIZE_CHECKS:
        kind, compare = SIZE_CHECKS[word]
        return lambda value: not isinstance(value, kind) or compare(len(value), rule)
    if word == "enum" and not any(isinstance(each, (dict, list)) for each in rule):
        return lambda _value: False
    return validate


def _is_long_or_valid(longest: int, validate: Check, value: Any) -> bool:
    """Check a slow pattern only if the value is not too long anyway."""
    return (isinstance(value, str) and len(value) > longest) or validate(value)


SIZE_CHECKS: Final[Mapping[str, tuple[type[Sized], Callable[[int, int], bool]]]] = {
    "minItems": (list, operator.ge),
    "maxItems": (list, operator.le),
    "minProperties": (dict, operator.ge),
    "maxProperties": (dict, operator.le),
}
KEYWORDS: Final = MESSAGES.keys() - set(ALTERNATIVE_KEYWORDS)
OF_CONTAINERS: Final = {*SIZE_CHECKS, "uniqueItems"}
OF_ALL: Final = {"type", "enum"}
