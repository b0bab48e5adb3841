"""The part of the document whose responses a suite lists completely; new resources need their own tests."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

KNOWN_TAGS = frozenset({"authentication", "health", "metrics", "users"})


def excerpt(document: Mapping[str, Any], tags: Collection[str] = KNOWN_TAGS) -> dict[str, Any]:
    """Return the document with the operations of these tags only, and the components that they refer to."""
    paths = {path: kept for path, item in document["paths"].items() if (kept := _operations(item, tags))}
    reached = _reached(document, paths)
    components = {
        kind: {
            name: part
            for name, part in parts.items()
            if kind == "securitySchemes" or f"#/components/{kind}/{name}" in reached
        }
        for kind, parts in document["components"].items()
    }
    described = [tag for tag in document["tags"] if tag["name"] in tags]
    return {**document, "tags": described, "paths": paths, "components": components}


def _operations(item: Mapping[str, Any], tags: Collection[str]) -> dict[str, Any]:
    """Return the path's operations of these tags, with what they share; nothing if there are none."""
    methods = {
        name for name, part in item.items() if isinstance(part, dict) and set(tags).intersection(part["tags"])
    }
    return {
        name: part for name, part in item.items() if methods and (name in methods or name == "parameters")
    }


def _reached(document: Mapping[str, Any], paths: Mapping[str, Any]) -> set[str]:
    """Return the references to all components that the paths refer to, directly or not."""
    reached, queue = set[str](), list(_references(paths))
    while queue:
        if (reference := queue.pop()) not in reached:
            reached.add(reference)
            _, _, kind, name = reference.split("/")
            queue.extend(_references(document["components"][kind][name]))
    return reached


def _references(part: Any) -> Iterator[str]:
    """Yield each reference within the part."""
    if isinstance(part, Mapping):
        if isinstance(reference := part.get("$ref"), str):
            yield reference
        for each in part.values():
            yield from _references(each)
    elif isinstance(part, list):
        for each in part:
            yield from _references(each)
