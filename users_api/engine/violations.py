"""Where a response violates the document: pointers into the response and keywords, never values."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from jsonschema_rs import ValidationError, ValidationErrorKind

from users_api.engine.yaml_source import child_pointer

STATUS: Final = "/status"
HEADERS: Final = "/headers"
BODY: Final = "/body"
UNDECLARED: Final = "*"
"""Stands for a property that no schema names: its name may be data."""


class Violation(NamedTuple):
    """One violation: `pointer` leads into `{"status": …, "headers": {…}, "body": …}` (RFC 6901).

    `keyword` is the field of the document that the response violates, such as `maxLength` or `required`.
    """

    pointer: str
    keyword: str


def declared_names(schema: Any) -> Iterator[str]:
    """Yield the name of each property in the schema, or in a mapping or list of schemas."""
    if isinstance(schema, Mapping):
        yield from _property_names(schema)
        for inner in schema.values():
            yield from declared_names(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from declared_names(inner)


def _property_names(schema: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(properties := schema.get("properties"), Mapping):
        yield from properties
    if isinstance(required := schema.get("required"), list):
        yield from required


def locate(
    error: ValidationError, at: str, path: Sequence[str | int], schema: Any, names: frozenset[str]
) -> Violation:
    """Return the violation below the pointer `at`.

    `path` leads to the invalid value, `schema` is what the error's schema path leads through, and `names` are
    the properties that may be named.
    """
    kind = error.kind
    missing = [kind.property] if isinstance(kind, ValidationErrorKind.Required) else []
    for step in (*path, *missing):
        name = str(step) if isinstance(step, int) or step in names else UNDECLARED
        at = child_pointer(at, name)
    *parents, last = error.schema_path
    for step in parents:
        schema = schema[int(step) if isinstance(schema, list) else str(step)]
    return Violation(at, schema.get("x-keyword", str(last)))
