"""The document's schemas, each compiled once for requests and once for responses."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

from jsonschema_rs import Draft4Validator, ValidationError

from users_api.engine.discriminators import Discriminators
from users_api.engine.failures import DocumentError, FieldError, InvalidPayload
from users_api.engine.keywords import OPTIONS
from users_api.engine.messages import MAX_ERRORS, NOT_CONFORMING, NOT_UNICODE, TOO_DEEP
from users_api.engine.sizes import Size, Sizes
from users_api.engine.translation import DEFINITIONS_PREFIX, Direction, Translator
from users_api.engine.validation_errors import CompiledSchema, CompiledSchemas, ErrorList, SearchTooLong
from users_api.engine.violations import Violation, declared_names, locate

__all__ = ["Direction", "Schema", "Schemas"]

MAX_DEPTH: Final = 256
ROW_LENGTH: Final = 32


def is_too_deep(value: Any) -> bool:
    """Return whether a value has more levels than errors are explained for."""
    level = [value]
    for _ in range(MAX_DEPTH):
        containers = [
            each.values() if isinstance(each, dict) else each
            for each in level
            if isinstance(each, dict | list)
        ]
        level = [inner for container in containers for inner in container]
        if not level:
            return False
    return True


class CombinedValidator:
    """One jsonschema-rs validator for all schemas; separate ones would recompile shared definitions.

    Two names around the value select a schema; two short lists of names are faster than one long list.
    """

    def __init__(self, definitions: Mapping[str, Mapping[str, Any]]) -> None:
        """Store the definitions; more may be added later."""
        self._definitions = definitions
        self._rows: dict[str, dict[str, dict[str, dict[str, str]]]] = {}
        self._count = 0
        self.conforms: Callable[[Any], bool] = self._build_and_check
        self.validate: Callable[[Any], None] = self._build_and_validate

    def add(self, key: str) -> tuple[str, str]:
        """Return the two names of a definition."""
        row, column = map(str, divmod(self._count, ROW_LENGTH))
        self._rows.setdefault(row, {"properties": {}})["properties"][column] = {
            "$ref": f"{DEFINITIONS_PREFIX}{key}"
        }
        self._count += 1
        self.conforms, self.validate = self._build_and_check, self._build_and_validate
        return row, column

    def build(self) -> None:
        """Compile what was added."""
        validator = Draft4Validator({"properties": self._rows, "definitions": self._definitions}, **OPTIONS)
        self.conforms, self.validate = validator.is_valid, validator.validate

    def _build_and_check(self, value: Any) -> bool:
        self.build()
        return self.conforms(value)

    def _build_and_validate(self, value: Any) -> None:
        self.build()
        self.validate(value)

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(declared_names(list(self._definitions.values())))

    def locate(self, error: ValidationError, pointer: str) -> Violation:
        """Return where the error is, below the pointer, which is that of the value between the two names."""
        root = {"properties": self._rows, "definitions": self._definitions}
        return locate(error, pointer, error.instance_path[2:], root, self._names)


class Schema:
    """A compiled schema; `schema` is the document's, after following references to it."""

    __slots__ = ("_column", "_outline", "_row", "_verdicts", "schema", "size")

    def __init__(
        self,
        schema: Mapping[str, Any],
        outline: CompiledSchema,
        verdicts: CombinedValidator,
        key: str,
        size: Size,
    ) -> None:
        """Register the schema with the validator."""
        self.schema, self._outline, self._verdicts = schema, outline, verdicts
        self.size = size
        self._row, self._column = verdicts.add(key)

    def errors(self, value: Any) -> list[FieldError]:
        """Return the errors in a JSON value, up to MAX_ERRORS; an empty list if it conforms."""
        try:
            if self._verdicts.conforms({self._row: {self._column: value}}):
                return []
            return self._explain(value)
        except UnicodeEncodeError:
            return [FieldError("", NOT_UNICODE)]

    def violation(self, value: Any, pointer: str) -> Violation | None:
        """Return the first violation in a JSON value, or None; `pointer` leads to the value in its message.

        It takes no longer than `errors` does for a value that conforms.
        """
        try:
            self._verdicts.validate({self._row: {self._column: value}})
        except ValidationError as error:
            return self._verdicts.locate(error, pointer)
        except ValueError:  # For unpaired surrogates, and for values that are nested too deeply.
            return Violation(pointer, "schema")
        return None

    def _explain(self, value: Any) -> list[FieldError]:
        found = ErrorList()
        try:
            if is_too_deep(value):
                return [FieldError("", TOO_DEEP)]
            self._outline.collect(value, "", found)
        except RecursionError:
            return [FieldError("", TOO_DEEP)]
        except SearchTooLong:
            pass
        "".join(
            error.field for error in found
        ).encode()  # Names that UTF-8 cannot encode would break the response.
        return list(dict.fromkeys(found))[:MAX_ERRORS] or [FieldError("", NOT_CONFORMING)]

    def explain_at_startup(self, value: Any) -> list[FieldError]:
        """Return every error without the validator, which would be rebuilt while schemas are added."""
        found = ErrorList()
        self._outline.collect(value, "", found)
        return found

    def fill_defaults(self, value: Any) -> Any:
        """Add a copy of the default of each missing property to a conforming value, and return it.

        Raises:
            InvalidPayload: the value is nested too deeply to try alternatives.
        """
        if self._outline.fills:
            try:
                self._outline.fill_defaults(value)
            except RecursionError:
                raise InvalidPayload([FieldError("", TOO_DEEP)]) from None
        return value


class SchemaCompiler:
    """All schemas of one direction."""

    def __init__(self, references: Discriminators, direction: Direction) -> None:
        """Start empty."""
        self._references = references
        self._translator = Translator(references, direction)
        self._outlines = CompiledSchemas()
        self._sizes = Sizes(self._translator.definitions)
        self.verdicts = CombinedValidator(self._translator.definitions)
        self._compiled: dict[str, Schema] = {}

    def compile(self, schema: Mapping[str, Any], pointer: str) -> Schema:
        """Return the compiled schema; equal calls return the same object.

        Raises:
            DocumentError: a keyword cannot be enforced, or a default does not conform.
        """
        translation = self._translator.translate(schema, pointer)
        self._outlines.add(translation.definitions)
        self._check_defaults(translation.defaults)
        if (key := translation.key) not in self._compiled:
            resolved = self._references.follow(schema, pointer).schema
            size = self._sizes.size(self._translator.definitions[key])
            outline = self._outlines.definition(key)
            self._compiled[key] = Schema(resolved, outline, self.verdicts, key, size)
        return self._compiled[key]

    def _check_defaults(self, defaults: list[tuple[str, dict[str, Any]]]) -> None:
        for place, translated in defaults:
            errors = ErrorList()
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
        """Store the document, whose references are all local."""
        self._references = Discriminators(root)
        self._compilers = {direction: SchemaCompiler(self._references, direction) for direction in Direction}

    def compile(self, schema: Mapping[str, Any], pointer: str, direction: Direction) -> Schema:
        """Return the compiled schema for one direction.

        Raises:
            DocumentError: the schema has a keyword that cannot be enforced.
        """
        return self._compilers[direction].compile(schema, pointer)

    def finish(self) -> None:
        """Build the validators now instead of for the first value."""
        for compiler in self._compilers.values():
            compiler.verdicts.build()

    def resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the target of a chain of references.

        Raises:
            DocumentError: the target does not exist, or the chain is circular.
        """
        return self._references.follow(schema, "#").schema
