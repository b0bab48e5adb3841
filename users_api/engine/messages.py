"""The error message for each keyword; messages never contain the value, which may be long or private."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

MAX_ERRORS: Final = 100  # Of one request; a response would otherwise be larger than the request.
REQUIRED: Final = "is required"
UNKNOWN_PROPERTY: Final = "is not a known property"
TOO_DEEP: Final = "is nested too deeply"
NOT_UNICODE: Final = "must not contain unpaired surrogates"
NOT_CONFORMING: Final = "must conform to the schema"
NOT_OBJECT: Final = "must be of type object"
HIDDEN_MESSAGES: Final = {"readOnly": "is read-only", "writeOnly": "is write-only"}


def one_of(values: Sequence[Any]) -> str:
    """Return the message that lists the values allowed by the document as JSON."""
    texts = [json.dumps(value, ensure_ascii=False) for value in values]
    return f"must be {texts[0]}" if len(texts) == 1 else f"must be one of {', '.join(texts)}"


def _types(names: str | Sequence[str]) -> str:
    return f"must be of type {names if isinstance(names, str) else ' or '.join(names)}"


def _minimum(schema: Mapping[str, Any]) -> str:
    bound = "greater than" if schema.get("exclusiveMinimum") else "at least"
    return f"must be {bound} {schema['minimum']}"


def _maximum(schema: Mapping[str, Any]) -> str:
    bound = "less than" if schema.get("exclusiveMaximum") else "at most"
    return f"must be {bound} {schema['maximum']}"


MESSAGES: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "type": lambda schema: _types(schema["type"]),
    "enum": lambda schema: one_of(schema["enum"]),
    "minLength": lambda schema: f"must have {schema['minLength']} or more characters",
    "maxLength": lambda schema: f"must have {schema['maxLength']} or fewer characters",
    "minimum": _minimum,
    "maximum": _maximum,
    "multipleOf": lambda schema: f"must be a multiple of {schema['multipleOf']}",
    "format": lambda schema: f"must be a valid {schema['format']}",
    "pattern": lambda schema: f"must match {schema['pattern']}",
    "minItems": lambda schema: f"must have {schema['minItems']} or more items",
    "maxItems": lambda schema: f"must have {schema['maxItems']} or fewer items",
    "uniqueItems": lambda _: "must have unique items",
    "minProperties": lambda schema: f"must have {schema['minProperties']} or more properties",
    "maxProperties": lambda schema: f"must have {schema['maxProperties']} or fewer properties",
    "oneOf": lambda _: "must match exactly one of the allowed schemas",
    "anyOf": lambda _: "must match at least one of the allowed schemas",
    "not": lambda _: "must not match the excluded schema",
}
