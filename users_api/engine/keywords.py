"""The keywords of OpenAPI 3.0's Schema Object: their valid values, and alternatives to others."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from jsonschema_rs import Draft4Validator, EmailOptions, FancyRegexOptions, RegexOptions

from users_api.engine.failures import DocumentError
from users_api.engine.yaml_source import child_pointer

MAX_BACKTRACKING_STEPS: Final = 10_000  # Of one pattern from one position of a value.
OPTIONS: Final[dict[str, Any]] = {
    "pattern_options": FancyRegexOptions(backtrack_limit=MAX_BACKTRACKING_STEPS),
    "validate_formats": True,
    "email_options": EmailOptions(allow_display_text=False),
}
ANNOTATIONS: Final = {
    "title",
    "description",
    "externalDocs",
    "example",
    "xml",
    "deprecated",
    "default",
    "format",
}
TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
COUNT: Final = {"type": "integer", "minimum": 0}
NUMBER: Final = {"type": "number"}
FLAG: Final = {"type": "boolean"}
OBJECT: Final = {"type": "object"}
LIST: Final = {"type": "array", "minItems": 1}
KEYWORD_SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "type": {"enum": list(TYPES)},
    "enum": LIST,
    "required": {"type": "array", "items": {"type": "string"}},
    "pattern": {"type": "string"},
    "format": {"type": "string"},
    "multipleOf": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
    "discriminator": {
        "type": "object",
        "required": ["propertyName"],
        "properties": {
            "propertyName": {"type": "string"},
            "mapping": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    },
    "additionalProperties": {"type": ["boolean", "object"]},
    "properties": OBJECT,
    **dict.fromkeys(("minimum", "maximum"), NUMBER),
    **dict.fromkeys(("not", "items"), OBJECT),
    **dict.fromkeys(("allOf", "anyOf", "oneOf"), LIST),
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), COUNT
    ),
    **dict.fromkeys(
        ("exclusiveMinimum", "exclusiveMaximum", "uniqueItems", "nullable", "readOnly", "writeOnly"), FLAG
    ),
}
KEYWORD_VALIDATOR: Final = Draft4Validator({"properties": KEYWORD_SCHEMAS})
KNOWN: Final = ANNOTATIONS | KEYWORD_SCHEMAS.keys()
ALTERNATIVES: Final = {
    "$anchor": "move the schema to components/schemas and refer to it",
    "$comment": "write description or x-comment",
    "$defs": "move the schemas to components/schemas",
    "$id": "refer to the schema by its place in the document",
    "$ref": "write the reference as a string",
    "$schema": "remove it: a schema of OpenAPI 3.0 has one dialect",
    "additionalItems": "write one schema in items",
    "const": "write enum with one value",
    "contains": "describe every item in items",
    "contentEncoding": "write format: byte",
    "contentMediaType": "write the media type in content",
    "definitions": "move the schemas to components/schemas",
    "dependencies": "write oneOf with one schema for each case",
    "dependentRequired": "write oneOf with one schema for each case",
    "dependentSchemas": "write oneOf with one schema for each case",
    "else": "write oneOf with one schema for each case",
    "examples": "write example with one value",
    "exclusiveMaximum": "write exclusiveMaximum: true beside maximum",
    "exclusiveMinimum": "write exclusiveMinimum: true beside minimum",
    "id": "refer to the schema by its place in the document",
    "if": "write oneOf with one schema for each case",
    "items": "write one schema for all items",
    "patternProperties": "write additionalProperties with a schema",
    "prefixItems": "write one schema in items, with minItems and maxItems",
    "propertyNames": "name the properties, or write additionalProperties",
    "required": "list the names of required properties in the schema of the object",
    "then": "write oneOf with one schema for each case",
    "type": f"write one of {', '.join(TYPES)}; and nullable: true where null is allowed",
    "unevaluatedItems": "write one schema in items",
    "unevaluatedProperties": "write additionalProperties",
}


def check_keywords(schema: Mapping[str, Any], pointer: str) -> None:
    """Check one schema, but not its subschemas.

    Raises:
        DocumentError: a keyword is unknown, has an invalid value, or cannot be enforced.
    """
    for keyword in schema:
        if keyword not in KNOWN and not keyword.startswith("x-"):
            instead = ALTERNATIVES.get(keyword, "remove it, or begin its name with x-")
            raise DocumentError(
                child_pointer(pointer, keyword), "OpenAPI 3.0 has no such keyword in a schema", instead
            )
    _check_shapes(schema, pointer)
    _check_pairs(schema, pointer)
    _check_assertions(schema, pointer)


def _check_shapes(schema: Mapping[str, Any], pointer: str) -> None:
    shapes = {keyword: schema[keyword] for keyword in KEYWORD_SCHEMAS if keyword in schema}
    for error in _errors(KEYWORD_VALIDATOR, shapes, pointer):
        keyword = str(error.instance_path[0])
        place = pointer
        for part in error.instance_path:
            place = child_pointer(place, str(part))
        raise DocumentError(place, error.message, ALTERNATIVES.get(keyword, ""))


def _errors(validator: Draft4Validator, value: Any, pointer: str) -> list[Any]:
    try:
        return list(validator.iter_errors(value))
    except ValueError as error:
        raise DocumentError(pointer, f"a schema has a value that JSON cannot express: {error}") from None


def _check_pairs(schema: Mapping[str, Any], pointer: str) -> None:
    for exclusive, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if schema.get(exclusive) and limit not in schema:
            raise DocumentError(
                child_pointer(pointer, exclusive), f"{exclusive} without {limit}", f"write {limit} too"
            )
    if schema.get("readOnly") and schema.get("writeOnly"):
        raise DocumentError(pointer, "nothing is both readOnly and writeOnly", "keep one of them")


def _check_assertions(schema: Mapping[str, Any], pointer: str) -> None:
    """Check that the pattern is a regular expression of ECMA 262, and that the values of `enum` are JSON."""
    if "pattern" in schema and not _is_pattern(schema["pattern"]):
        place = child_pointer(pointer, "pattern")
        raise DocumentError(place, f"{schema['pattern']} is not a regular expression of ECMA 262")
    if "enum" in schema:
        try:
            Draft4Validator({"enum": without_duplicates(schema["enum"])})
        except ValueError as error:
            raise DocumentError(child_pointer(pointer, "enum"), f"a value is no JSON: {error}") from None


@cache
def _is_pattern(pattern: str) -> bool:
    try:
        Draft4Validator({"pattern": pattern})
    except ValueError:
        return False
    return True


@cache
def needs_backtracking(pattern: str) -> bool:
    """Return whether a pattern has look-around or back-references, which no linear-time engine supports."""
    try:
        Draft4Validator({"pattern": pattern}, pattern_options=RegexOptions())
    except ValueError:
        return True
    return False


def without_duplicates(values: list[Any]) -> list[Any]:
    """Return the values without repeated ones, which JSON Schema's draft 4 forbids in `enum`."""
    unique = Draft4Validator({"uniqueItems": True}).is_valid
    if unique(values):
        return values
    found: list[Any] = []
    for value in values:
        if unique([*found, value]):
            found.append(value)
    return found
