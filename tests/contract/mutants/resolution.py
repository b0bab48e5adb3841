"""Replaces references by their targets; parts keep their original places, so shared parts are recognised."""

from collections.abc import Iterator, Mapping
from typing import Any

UNBINDING = {
    "example",
    "examples",
    "links",
    "required",
    "enum",
    "info",
    "tags",
    "servers",
    "security",
    "description",
    "summary",
}


class Part(dict[str, Any]):
    """An object of the document with its place, like `#/components/schemas/Id`."""

    place: str


def resolved(document: Mapping[str, Any]) -> Part:
    """Return the document without references."""
    part: Part = _resolve(document, document, "#")
    return part


def _resolve(document: Mapping[str, Any], value: Any, place: str) -> Any:
    if isinstance(value, list):
        return [_resolve(document, item, f"{place}/{index}") for index, item in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    if isinstance(reference := value.get("$ref"), str):
        return _resolve(document, _at(document, reference), reference)
    part = Part((name, _resolve(document, child, f"{place}/{name}")) for name, child in value.items())
    part.place = place
    return part


def schemas(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Yield each schema that the document defines, with its place."""
    yield from ((place, part) for place, part in parts(document) if is_schema(place) and "$ref" not in part)


def parts(part: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each normative object of the document with its place, but no examples and descriptions."""
    yield place, part
    if isinstance(part, Mapping):
        for name in part.keys() - UNBINDING:
            yield from parts(part[name], (*place, name))
    elif isinstance(part, list):
        for index, item in enumerate(part):
            yield from parts(item, (*place, str(index)))


def is_schema(place: tuple[str, ...]) -> bool:
    """Return whether the place contains a schema."""
    return (
        place[-1:] in {("schema",), ("items",)}
        or place[-2:-1] == ("properties",)
        or (place[:2] == ("components", "schemas") and len(place) == 3)
    )


def _at(document: Mapping[str, Any], reference: str) -> Any:
    value: Any = document
    for name in reference.removeprefix("#/").split("/"):
        value = value[name]
    return value
