"""Generates requests at and beyond every bound of a document, each for one rule."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from tests.contract.mutants.exchanges import LONGEST_NAME, Request
from tests.contract.mutants.table import sample

TAG = 64
LABEL = 50
ODD_TEXTS = ("", "no-at-sign", '"a b"@example.org', "a@example.org\n", "x\0y", "\xe9@b.de", "0", "*")
# At and beyond the bounds of times; each of the last ones breaks one rule.
MOMENTS = (
    "2026-11-23T09:30:00Z",
    "2026-11-23T09:30:00.123456+00:00",
    "1000-01-01T00:00:00-23:59",
    "2999-12-31T23:59:59.999999Z",
    "2026-11-23T09:30:00",
    "2026-11-23T09:30:00.1234567+00:00",
    "2026-02-30T00:00:00Z",
    "3000-01-01T00:00:00Z",
    "2016-12-31T23:59:60Z",
)
JSON_VALUES = (None, True, 0, 0.5, "1", [], {})
QUERY_VALUES = ("true", "false", "yes", "1.5", "01", "-1", "")


def probes(name: str, operation: Mapping[str, Any], path_parameters: list[Any]) -> Iterator[Request]:
    """Yield requests that test each rule of the operation."""
    request = sample(name, operation)
    yield request
    for parameter in path_parameters:
        for text in map(str, _numbers(parameter["schema"])):
            yield request._replace(target=name.split(" ")[1].replace("{user_id}", text))
    yield from _queries(request, [one for one in operation.get("parameters", []) if one["in"] == "query"])
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "header":
            yield from _headers(request, parameter)
    for content in operation.get("requestBody", {}).get("content", {}).values():
        yield request._replace(body=None)
        yield request._replace(headers=(("Content-Type", "text/plain"),))
        yield from (_body(request, value) for value in _bodies(content["schema"], content["example"]))


def _queries(request: Request, parameters: list[Any]) -> Iterator[Request]:
    yield request._replace(target=f"{request.target}?nonsense=1")
    for parameter in parameters:
        for text in (*_texts(parameter["schema"]), *map(str, _numbers(parameter["schema"])), *QUERY_VALUES):
            pair = f"{quote(parameter['name'])}={quote(text)}"
            yield request._replace(target=f"{request.target}?{pair}")
        yield request._replace(target=f"{request.target}?{pair}&{pair}")


def _headers(request: Request, parameter: Mapping[str, Any]) -> Iterator[Request]:
    for text in _texts(parameter["schema"]):
        if text.isascii() and text.isprintable():
            yield request._replace(headers=(*request.headers, (parameter["name"], text)))


def _body(request: Request, value: Any) -> Request:
    return request._replace(body=json.dumps(value).encode())


def _bodies(schema: Mapping[str, Any], example: Any) -> Iterator[Any]:
    """Yield the example with one difference at a time."""
    yield from JSON_VALUES
    yield example | {"nonsense": 1}
    properties = schema.get("properties", {})
    for name, rule in properties.items():
        rest = {other: value for other, value in example.items() if other != name}
        yield rest
        for value in (rule.get("example"), *_texts(rule), *_numbers(rule), *JSON_VALUES):
            yield {name: value}
            yield rest | {name: value}
    yield {name: rule.get("example") for name, rule in properties.items()}


def _numbers(schema: Mapping[str, Any]) -> Iterator[int]:
    for bound in ("minimum", "maximum"):
        if bound in schema:
            yield from (schema[bound] + step for step in (-1, 0, 1))


def _texts(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield texts at the bounds, of each known kind: each rule rejects all kinds but one."""
    lengths = {
        schema[bound] + step for bound in ("minLength", "maxLength") if bound in schema for step in (-1, 0, 1)
    }
    for length in sorted(length for length in lengths if length >= 0):
        yield from ("x" * length, LONGEST_NAME[:length], _address(length), _tags(length))
    yield from (*ODD_TEXTS, *schema.get("enum", ()))
    yield from MOMENTS if schema.get("format") == "date-time" else ()


def _address(length: int) -> str:
    """Return an email address of this length if possible: a local part has up to 64 characters, labels 63."""
    local = min(64, max(1, length - 2))
    rest = length - local - 1
    domain = "".join("." if place % LABEL == LABEL - 1 and place < rest - 1 else "b" for place in range(rest))
    return f"{'a' * local}@{domain}"


def _tags(length: int) -> str:
    """Return entity tags with this total length if possible."""
    tags, rest = [], length
    while rest > TAG + 2:
        tags.append(f'"{"t" * (TAG if rest != TAG + 4 else TAG - 2)}"')
        rest -= len(tags[-1]) + 1
    return ",".join([*tags, f'"{"t" * (rest - 2)}"' if rest > 1 else "*"])
