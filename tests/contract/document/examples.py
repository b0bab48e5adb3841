"""Finds all examples of the document."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tests.support.excerpt import excerpt
from users_api.document import load_document

METHODS = ("get", "put", "post", "delete", "patch")
WHOLE = load_document()
DOCUMENT = excerpt(WHOLE)


class Response(NamedTuple):
    """An example of a response, named by its component or by its operation and status."""

    name: str
    body: Any
    headers: dict[str, str]


class Request(NamedTuple):
    """An example of one part of a request to an operation, with the parts that the operation requires."""

    operation: str
    part: str
    method: str
    path: str
    query: dict[str, Any]
    headers: dict[str, str]
    body: dict[str, Any] | None


def resolve(node: Any) -> Any:
    """Return the part of the document with resolved references, and `nullable` as a JSON Schema type."""
    if isinstance(node, list):
        return [resolve(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        *_, kind, name = node["$ref"].split("/")
        return resolve(WHOLE["components"][kind][name])
    resolved = {key: resolve(value) for key, value in node.items()}
    return resolved | {"type": [node["type"], "null"]} if node.get("nullable") else resolved


def named_responses() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each response where it is defined."""
    yield from DOCUMENT["components"]["responses"].items()
    for _, _, operation in operations():
        for status, response in operation["responses"].items():
            if "$ref" not in response:
                yield f"{operation['operationId']} {status}", response


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, method and operation; the operation includes the parameters of the path."""
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                parameters = [*item.get("parameters", []), *item[method].get("parameters", [])]
                yield path, method.upper(), item[method] | {"parameters": resolve(parameters)}


def bodies(part: dict[str, Any]) -> dict[str, Any]:
    """Return the named examples of a request or response body; a single example has an empty name."""
    media_type = next(iter(part.get("content", {}).values()), {})
    lone = {"": media_type["example"]} if "example" in media_type else {}
    return lone | {name: example["value"] for name, example in media_type.get("examples", {}).items()}


def headers(response: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Return the documented headers of a response by name."""
    return resolve(response.get("headers", {})).items()


def responses() -> list[Response]:
    """Return the examples of all responses with a body."""
    return [
        Response(
            f"{name} {variant}".strip(), body, {key: header["example"] for key, header in headers(response)}
        )
        for name, response in named_responses()
        for variant, body in bodies(response).items()
    ]


def requests() -> Iterator[Request]:
    """Yield each body and each optional parameter separately, with the path parameters filled in."""
    for path, method, operation in operations():
        name, parameters = operation["operationId"], operation["parameters"]
        for parameter in parameters:
            path = path.replace(f"{{{parameter['name']}}}", str(parameter["example"]))  # noqa: PLW2901 -- filled in, one by one.
        body = next(iter(bodies(operation.get("requestBody", {})).values()), None)
        yield Request(name, "as it is", method, path, {}, {}, body)
        for parameter in parameters:
            own = {parameter["name"]: parameter["example"]}
            if parameter["in"] == "query":
                yield Request(name, parameter["name"], method, path, own, {}, body)
            elif parameter["in"] == "header":
                yield Request(name, parameter["name"], method, path, {}, own, body)


def schemas(node: Any, name: str = "") -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Yield the place of each example, its schema, and the example."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    if isinstance(node, dict):
        schema = node.get("schema", node)
        if "example" in node:
            yield name, resolve(schema), node["example"]
        for variant, example in node.get("examples", {}).items():
            yield f"{name}/{variant}", resolve(schema), example["value"]
        for key, value in node.items():
            if key not in {"example", "examples"}:
                yield from schemas(value, f"{name}/{key}")


def scalars(value: Any) -> Iterator[Any]:
    """Yield all scalar values in the example."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from scalars(item)
    else:
        yield value
