"""The structure of OpenAPI 3.0 documents: the published JSON schema, and the kind of object at each place."""

import json
from collections.abc import Iterator, Mapping
from enum import Enum, IntEnum, auto
from functools import cache, reduce
from typing import Any, Final, NamedTuple

import jsonschema_rs
from connexion.spec import OpenAPISpecification

from users_api.engine.failures import DocumentError
from users_api.engine.yaml_source import child_pointer

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
ANY: Final = "*"
DISCRIMINATING_FIELDS: Final = frozenset({"in", "type"})


class Cardinality(Enum):
    """Whether a field holds one object, a list or a map of them."""

    ONE = auto()
    LIST = auto()
    MAP = auto()


class Field(NamedTuple):
    """The kind of the objects in a field; the names are those of OpenAPI 3.0.3."""

    kind: str
    shape: Cardinality


def _single(kind: str) -> Field:
    return Field(kind, Cardinality.ONE)


def _list(kind: str) -> Field:
    return Field(kind, Cardinality.LIST)


def _map(kind: str) -> Field:
    return Field(kind, Cardinality.MAP)


_VALUE: Final = {"schema": _single("Schema"), "content": _map("MediaType"), "examples": _map("Example")}
FIELDS: Final[Mapping[str, Mapping[str, Field]]] = {
    "Document": {"paths": _single("Paths"), "components": _single("Components")},
    "Components": {
        "schemas": _map("Schema"),
        "responses": _map("Response"),
        "parameters": _map("Parameter"),
        "examples": _map("Example"),
        "requestBodies": _map("RequestBody"),
        "headers": _map("Header"),
        "securitySchemes": _map("SecurityScheme"),
        "links": _map("Link"),
        "callbacks": _map("Callback"),
    },
    "Paths": {ANY: _single("PathItem")},
    "PathItem": {"parameters": _list("Parameter"), **dict.fromkeys(METHODS, _single("Operation"))},
    "Operation": {
        "parameters": _list("Parameter"),
        "requestBody": _single("RequestBody"),
        "responses": _single("Responses"),
        "callbacks": _map("Callback"),
    },
    "Parameter": _VALUE,
    "Header": _VALUE,
    "RequestBody": {"content": _map("MediaType")},
    "MediaType": {"schema": _single("Schema"), "examples": _map("Example"), "encoding": _map("Encoding")},
    "Encoding": {"headers": _map("Header")},
    "Responses": {ANY: _single("Response")},
    "Response": {"headers": _map("Header"), "content": _map("MediaType"), "links": _map("Link")},
    "Callback": {ANY: _single("PathItem")},
    "Schema": {
        "properties": _map("Schema"),
        "items": _single("Schema"),
        "allOf": _list("Schema"),
        "anyOf": _list("Schema"),
        "oneOf": _list("Schema"),
        "not": _single("Schema"),
        "additionalProperties": _single("Schema"),
        "discriminator": _single("Discriminator"),
    },
    "Discriminator": {},
    "Example": {},
    "Link": {},
    "SecurityScheme": {},
}


class Place(NamedTuple):
    """An object of the document, its kind, and the JSON pointer to it."""

    node: Any
    kind: str
    pointer: str


def children(place: Place) -> Iterator[Place]:
    """Yield the direct child objects; examples, defaults and extensions are plain values."""
    fields = FIELDS[place.kind]
    for name, value in place.node.items():
        field = fields.get(name) or (None if name.startswith("x-") else fields.get(ANY))
        if field is None:
            continue
        pointer = child_pointer(place.pointer, name)
        if field.shape is Cardinality.ONE:
            yield Place(value, field.kind, pointer)
        elif field.shape is Cardinality.LIST:
            yield from (Place(item, field.kind, f"{pointer}/{at}") for at, item in enumerate(value))
        else:
            yield from (Place(item, field.kind, child_pointer(pointer, key)) for key, item in value.items())


def check(place: Place) -> None:
    """Validate an object and everything in it against the schema of its kind.

    Raises:
        DocumentError: the first violation, at the most specific place.
    """
    for error in _validator(place.kind).iter_errors(place.node):
        path, message = _cause(error)
        raise DocumentError(reduce(child_pointer, map(str, path), place.pointer), message)


@cache
def _validator(kind: str) -> jsonschema_rs.Draft4Validator:
    schema: dict[str, Any] = OpenAPISpecification.openapi_schema
    if kind != "Document":
        schema = {"$ref": f"#/definitions/{kind}", "definitions": schema["definitions"]}
    return jsonschema_rs.Draft4Validator(schema, validate_formats=False, mask="the value")


def _cause(error: jsonschema_rs.ValidationError) -> tuple[list[str | int], str]:
    """Return the path and the message of the error in the alternative that was most likely intended."""
    alternatives: list[list[jsonschema_rs.ValidationError]] = getattr(error.kind, "context", [])
    if not alternatives or not all(alternatives):
        return error.instance_path, _message(error)
    ranks = [max(map(_rank, errors)) for errors in alternatives]
    best = min(ranks)
    if ranks.count(best) > 1 and best is Rank.SELECTED_OTHER:
        selector = next(each for errors in alternatives for each in errors if _rank(each) is best)
        return selector.instance_path, f"OpenAPI 3.0 does not know {json.dumps(selector.instance)}"
    meant = alternatives[ranks.index(best)]
    return max(map(_cause, meant), key=lambda cause: len(cause[0]))


def _message(error: jsonschema_rs.ValidationError) -> str:
    if error.kind.name != "enum":
        return error.message
    options = ", ".join(map(json.dumps, error.kind.as_dict()["options"]))
    return f"must be one of {options}, not {json.dumps(error.instance)}"


class Rank(IntEnum):
    """How unlikely it is that an alternative was intended, given an error in it."""

    MEANT = 0
    SELECTED_OTHER = 1
    REFERENCE = 2


def _rank(error: jsonschema_rs.ValidationError) -> Rank:
    if error.kind.name == "required" and error.message.startswith('"$ref"'):
        return Rank.REFERENCE
    if error.kind.name == "enum" and error.instance_path[-1] in DISCRIMINATING_FIELDS:
        return Rank.SELECTED_OTHER
    return Rank.MEANT
