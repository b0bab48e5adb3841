"""The document's schemas, each compiled once for requests and once for responses."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from jsonschema_rs import Draft4Validator

from users_api.engine.discriminators import Discriminators
from users_api.engine.explanation import Outline, Outlines
from users_api.engine.failures import DocumentError, FieldError, InvalidPayload
from users_api.engine.keywords import OPTIONS
from users_api.engine.translation import PLACES, Direction, Translator
from users_api.engine.wording import NOT_CONFORMING, NOT_UNICODE, TOO_DEEP

__all__ = ["Direction", "Schema", "Schemas"]

MOST_LEVELS: Final = 256
ROW: Final = 32


def is_too_deep(value: Any) -> bool:
    """Say whether a value has more levels than are explained."""
    level = [value]
    for _ in range(MOST_LEVELS):
        containers = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [inner for container in containers for inner in container]
        if not level:
            return False
    return True


class Verdicts:
    """One validator of jsonschema-rs for all schemas: each of several would compile all it refers to.

    It finds a schema by two names around the value; two short lists of names are faster than one.
    """

    def __init__(self, definitions: Mapping[str, Mapping[str, Any]]) -> None:
        """Take the definitions, which may grow."""
        self._definitions = definitions
        self._rows: dict[str, dict[str, dict[str, dict[str, str]]]] = {}
        self._count = 0
        self.conforms: Callable[[Any], bool] = self._build_and_check

    def add(self, key: str) -> tuple[str, str]:
        """Return the two names of a definition."""
        row, column = map(str, divmod(self._count, ROW))
        self._rows.setdefault(row, {"properties": {}})["properties"][column] = {"$ref": f"{PLACES}{key}"}
        self._count += 1
        self.conforms = self._build_and_check
        return row, column

    def build(self) -> None:
        """Compile what was added."""
        self.conforms = Draft4Validator({"properties": self._rows, "definitions": self._definitions}, **OPTIONS).is_valid

    def _build_and_check(self, value: Any) -> bool:
        self.build()
        return self.conforms(value)


class Schema:
    """A compiled schema; `schema` is what the document says, with the references before it followed."""

    __slots__ = ("_column", "_outline", "_row", "_verdicts", "schema")

    def __init__(self, schema: Mapping[str, Any], outline: Outline, verdicts: Verdicts, key: str) -> None:
        """Take a place among the verdicts."""
        self.schema, self._outline, self._verdicts = schema, outline, verdicts
        self._row, self._column = verdicts.add(key)

    def errors(self, value: Any) -> list[FieldError]:
        """Return every error in a value that JSON has; none when it conforms."""
        try:
            if self._verdicts.conforms({self._row: {self._column: value}}):
                return []
            return self._explain(value)
        except UnicodeEncodeError:
            return [FieldError("", NOT_UNICODE)]

    def _explain(self, value: Any) -> list[FieldError]:
        found: list[FieldError] = []
        try:
            if is_too_deep(value):
                return [FieldError("", TOO_DEEP)]
            self._outline.collect(value, "", found)
        except RecursionError:
            return [FieldError("", TOO_DEEP)]
        "".join(error.field for error in found).encode()  # Names that UTF-8 cannot encode would break the response.
        return list(dict.fromkeys(found)) or [FieldError("", NOT_CONFORMING)]

    def explain_at_startup(self, value: Any) -> list[FieldError]:
        """Return every error without the validator, which would be built anew for each value while schemas are added."""
        found: list[FieldError] = []
        self._outline.collect(value, "", found)
        return found

    def fill_defaults(self, value: Any) -> Any:
        """Return the conforming value itself, with a fresh copy of the default of each missing property.

        Raises:
            InvalidPayload: alternatives have to be tried in a value that is nested too deeply for it.
        """
        if self._outline.fills:
            try:
                self._outline.fill(value)
            except RecursionError:
                raise InvalidPayload([FieldError("", TOO_DEEP)]) from None
        return value


class Compiler:
    """All schemas of one direction."""

    def __init__(self, references: Discriminators, direction: Direction) -> None:
        """Begin with none."""
        self._references = references
        self._translator = Translator(references, direction)
        self._outlines = Outlines()
        self.verdicts = Verdicts(self._translator.definitions)
        self._compiled: dict[str, Schema] = {}

    def compile(self, schema: Mapping[str, Any], pointer: str) -> Schema:
        """Return the compiled schema, the same one for the same schema.

        Raises:
            DocumentError: it says what cannot be enforced, or a default does not conform.
        """
        translation = self._translator.translate(schema, pointer)
        self._outlines.add(translation.definitions)
        self._check_defaults(translation.defaults)
        if (key := translation.key) not in self._compiled:
            resolved = self._references.follow(schema, pointer).schema
            self._compiled[key] = Schema(resolved, self._outlines.definition(key), self.verdicts, key)
        return self._compiled[key]

    def _check_defaults(self, defaults: list[tuple[str, dict[str, Any]]]) -> None:
        for place, translated in defaults:
            errors: list[FieldError] = []
            try:
                self._outlines.outline(translated).collect(translated["default"], "", errors)
            except ValueError as error:
                raise DocumentError(place, f"the default is no JSON: {error}") from None
            if errors:
                problem = f"the default does not conform: it {errors[0].message}"
                raise DocumentError(place, problem, "write one that the schema accepts")


class Schemas:
    """The schemas of one document."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        """Take the document, whose references are all local."""
        self._references = Discriminators(root)
        self._compilers = {direction: Compiler(self._references, direction) for direction in Direction}

    def compile(self, schema: Mapping[str, Any], pointer: str, direction: Direction) -> Schema:
        """Return what validates the values of one direction.

        Raises:
            DocumentError: the schema says what cannot be enforced.
        """
        return self._compilers[direction].compile(schema, pointer)

    def finish(self) -> None:
        """Build the validators now, rather than when the first value comes."""
        for compiler in self._compilers.values():
            compiler.verdicts.build()

    def resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the schema that a chain of references leads to.

        Raises:
            DocumentError: it leads nowhere, or in a circle.
        """
        return self._references.follow(schema, "#").schema
