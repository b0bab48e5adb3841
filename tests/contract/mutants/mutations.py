"""Generates all documents that differ from the original in one constraint."""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from tests.contract.mutants.resolution import is_schema, parts
from tests.support.issued import SCOPES

BOUNDS = ("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "minProperties")
OTHER = {"string": "integer", "integer": "string", "boolean": "string", "array": "object", "object": "array"}
TEXT = {"type": "string", "maxLength": 8}
TOKEN = {"type": "http", "scheme": "bearer", "x-bearerInfoFunc": "tests.support.credentials.read_token"}
STYLES = ("simple", "form", "label", "matrix", "spaceDelimited", "pipeDelimited", "deepObject")
Change = tuple[str, Callable[[Any], None]]


def mutants(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each mutant with its name: the place and the change."""
    for place, part in sorted(parts(document), key=lambda found: found[0]):
        for what, change in _changes(place, part):
            mutant = deepcopy(dict(document))
            target: Any = mutant
            for name in place:
                target = target[int(name) if isinstance(target, list) else name]
            change(target)
            yield f"{'/'.join(place)}: {what}", mutant


def _changes(place: tuple[str, ...], part: Any) -> Iterator[Change]:
    """Yield the possible changes of this place itself."""
    if not isinstance(part, Mapping) or "$ref" in part:
        return
    if not place:
        yield from _of_document(part)
    elif place == ("paths",):
        yield from _of_paths(part)
    elif "operationId" in part:
        yield from _of_operation(part)
    elif place[-2:-1] == ("responses",):
        yield from _of_response(part)
    elif is_schema(place):
        yield from _of_schema(part)
    elif "in" in part and "type" not in part:  # A security scheme has both.
        yield from _of_parameter(part)
    elif place[:2] == ("components", "headers") and len(place) == 3:
        yield _toggle(part, "required")


def _of_document(document: Mapping[str, Any]) -> Iterator[Change]:
    """Yield what concerns every operation: who may call it, and where it is."""
    yield "security required", lambda part: _secure(part, part)
    yield "security required, nothing verifies it", lambda part: _secure(part, part, verified=False)
    for path, methods in document["paths"].items():
        for method in sorted(methods.keys() - {"parameters"}):
            yield (
                f"security required of {method} {path}",
                lambda part, path=path, method=method: _secure(part, part["paths"][path][method]),
            )
    yield "servers below /v9", _set("servers", [{"url": "/v9"}])
    yield "servers elsewhere, below /v9", _set("servers", [{"url": "https://api.example.org/v9/"}])
    variables = {"version": {"default": "v9"}}
    yield "servers below a variable", _set("servers", [{"url": "/{version}", "variables": variables}])
    yield "servers below /v9, then /", lambda part: part["servers"].insert(0, {"url": "/v9"})


def _secure(document: Any, where: Any, *, verified: bool = True) -> None:
    scheme = TOKEN if verified else {name: rule for name, rule in TOKEN.items() if not name.startswith("x-")}
    document["components"]["securitySchemes"] = {"token": scheme}
    where["security"] = [{"token": []}]


def _of_schema(schema: Mapping[str, Any]) -> Iterator[Change]:
    for bound in filter(schema.__contains__, BOUNDS):
        yield from (
            (f"{bound} {step:+}", _set(bound, schema[bound] + step))
            for step in (-1, 1)
            if schema[bound] + step >= 0
        )
    for rule in ("pattern", "format", "type", "enum", "additionalProperties", *BOUNDS):
        if rule in schema:
            yield f"{rule} removed", _drop(rule)
    yield f"type {OTHER[schema['type']]}", _set("type", OTHER[schema["type"]])
    if schema["type"] == "integer":
        yield "type number", _set("type", "number")
    if "enum" not in schema:
        yield _toggle(schema, "nullable")
    if "default" in schema:
        yield from (
            (f"default {step:+}", _set("default", schema["default"] + step))
            for step in (-1, 1)
            if schema["default"] + step >= schema["minimum"]
        )
    for index, word in enumerate(schema.get("enum", ())):
        yield f"enum {word} changed", lambda part, index=index: part["enum"].__setitem__(index, "changed")
        yield f"enum {word} joined by another", lambda part: part["enum"].append("another")
    yield from _of_properties(schema)


def _of_properties(schema: Mapping[str, Any]) -> Iterator[Change]:
    required = schema.get("required", [])
    for name in schema.get("properties", {}):
        if name in required:
            yield f"{name} not required", lambda part, name=name: _remove(part, "required", name)
        else:
            yield f"{name} required", lambda part, name=name: part.setdefault("required", []).append(name)
        yield f"{name} removed", lambda part, name=name: _remove_property(part, name)
        yield f"{name} renamed", lambda part, name=name: _rename_property(part, name)
    if schema["type"] == "object":
        yield "nickname added", lambda part: part["properties"].update(nickname=TEXT)
        yield (
            "nickname added, required",
            lambda part: (
                part["properties"].update(nickname=TEXT),
                part.setdefault("required", []).append("nickname"),
            ),
        )


def _of_paths(paths: Mapping[str, Any]) -> Iterator[Change]:
    for path, methods in paths.items():
        yield f"{path} removed", _drop(path)
        for method in sorted(methods.keys() - {"parameters"}):
            yield f"{method} {path} removed", lambda part, path=path, method=method: part[path].pop(method)
        other = "trace"
        yield (
            f"{other} {path} added",
            lambda part, path=path: part[path].update(trace=deepcopy(next(iter(_operations(part[path]))))),
        )
    yield "/teapots added", lambda part: part.update({"/teapots": deepcopy(part["/ping"])})


def _of_operation(operation: Mapping[str, Any]) -> Iterator[Change]:
    yield "operationId changed", _set("operationId", "changed")
    yield from _of_security(operation.get("security", []))
    for status in operation["responses"]:
        yield f"{status} removed", lambda part, status=status: part["responses"].pop(status)
    yield "418 added", lambda part: part["responses"].update({"418": deepcopy(part["responses"]["405"])})
    parameters = operation.get("parameters", [])
    for index, parameter in enumerate(parameters):
        yield (
            f"parameter {parameter.get('name', parameter.get('$ref'))} removed",
            lambda part, index=index: part["parameters"].pop(index),
        )
    for place in ("query", "header"):
        for required in (False, True):
            new = {
                "name": "X-Nonsense" if place == "header" else "colour",
                "in": place,
                "required": required,
                "schema": TEXT,
            }
            yield (
                f"{place} parameter added{', required' * required}",
                lambda part, new=new: part.setdefault("parameters", []).append(new),
            )
    if "requestBody" in operation:
        yield "requestBody removed", _drop("requestBody")
        yield "requestBody not required", lambda part: part["requestBody"].pop("required")
        yield "requestBody of another type", lambda part: _retype(part["requestBody"])


def _of_security(requirements: list[Any]) -> Iterator[Change]:
    """Yield what concerns who may call an operation that requires scopes."""
    if not requirements or {} in requirements:
        return
    yield "security removed", _drop("security")
    yield "security empty", _set("security", [])
    yield "security optional", _set("security", [*requirements, {}])
    yield "security without scope", _set("security", [{"oauth": []}])
    for scope in SCOPES:
        if [{"oauth": [scope]}] != requirements:
            yield f"security {scope} instead", _set("security", [{"oauth": [scope]}])
            yield f"security {scope} as well", _set("security", [*requirements, {"oauth": [scope]}])


def _of_response(response: Mapping[str, Any]) -> Iterator[Change]:
    yield "header added", lambda part: part.setdefault("headers", {}).update({"X-New": {"schema": TEXT}})
    yield (
        "header added, required",
        lambda part: part.setdefault("headers", {}).update({"X-New": {"required": True, "schema": TEXT}}),
    )
    for name, header in response.get("headers", {}).items():
        yield f"header {name} removed", lambda part, name=name: part["headers"].pop(name)
        if "$ref" not in header:
            required = not header.get("required", False)
            yield (
                f"header {name} required {required}",
                lambda part, name=name, required=required: part["headers"][name].update(required=required),
            )
    if "content" in response:
        yield "content removed", _drop("content")
        yield "content of another type", _retype
    else:
        content = {"application/json": {"schema": {"type": "object"}}}
        yield "content added", _set("content", content)


def _of_parameter(parameter: Mapping[str, Any]) -> Iterator[Change]:
    yield "renamed", _set("name", "renamed")
    yield _toggle(parameter, "required")
    default = "form" if parameter["in"] in {"query", "cookie"} else "simple"
    yield from (
        (f"style {style}", _set("style", style))
        for style in STYLES
        if style != parameter.get("style", default)
    )
    yield f"explode {default != 'form'}", _set("explode", default != "form")


def _operations(methods: Mapping[str, Any]) -> Iterator[Any]:
    return (operation for method, operation in methods.items() if method != "parameters")


def _set(name: str, value: Any) -> Callable[[Any], None]:
    return lambda part: part.__setitem__(name, value)


def _drop(name: str) -> Callable[[Any], None]:
    return lambda part: part.pop(name)


def _toggle(part: Mapping[str, Any], name: str) -> Change:
    value = not part.get(name, False)
    return f"{name} {value}", _set(name, value)


def _remove(part: Any, names: str, name: str) -> None:
    part[names] = [other for other in part[names] if other != name]
    if not part[names]:
        del part[names]


def _remove_property(part: Any, name: str) -> None:
    del part["properties"][name]
    if name in part.get("required", ()):
        _remove(part, "required", name)


def _rename_property(part: Any, name: str) -> None:
    part["properties"] = {
        ("renamed" if other == name else other): rule for other, rule in part["properties"].items()
    }
    if name in part.get("required", ()):
        part["required"] = ["renamed" if other == name else other for other in part["required"]]


def _retype(part: Any) -> None:
    part["content"] = {"text/plain": next(iter(part["content"].values()))}
