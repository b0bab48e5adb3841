"""Checks whether a document describes the service accurately and completely."""

import json
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.contract.mutants.exchanges import LARGEST_ID, LONGEST_NAME, Request, Response, ServiceStates
from tests.contract.mutants.observations import Observations, observe
from tests.contract.mutants.probes import probes
from tests.contract.mutants.resolution import Part, resolved, schemas
from tests.contract.mutants.table import JSON, operations, sample
from tests.contract.mutants.verdicts import Rules, agrees, compiled

HEAVY_NAME = "n" * (1024 * 1024 - len('{"":1}'))
# Headers of all messages (RFC 9110) and of all responses of the service, which are not part of an operation.
OF_HTTP = {
    "cache-control",
    "connection",
    "content-length",
    "content-security-policy",
    "content-type",
    "cross-origin-resource-policy",
    "date",
    "referrer-policy",
    "x-content-type-options",
    "x-request-id",
}
BEFORE_THE_RULES = {405, 408, 413, 421, 431}
LARGEST_INT32 = 2**31 - 1
LONGEST_QUERY = 64
STYLES = {
    "path": ("simple", "label", "matrix"),
    "query": ("form",),
    "header": ("simple",),
    "cookie": ("form",),
}


def at_the_ends() -> Iterator[Request]:
    """Yield requests whose responses have extreme lengths and values."""

    def payload(operation: str, target: str, **body: Any) -> Request:
        return Request(
            operation,
            operation.partition(" ")[0],
            target,
            (JSON,),
            json.dumps(body, separators=(",", ":")).encode(),
        )

    yield payload("POST /users", "/users", username="m", email="a@b")
    yield payload("POST /users", "/users", username="m", email="l@example.org")._replace(state="largest id")
    yield payload("POST /users", "/users", username="m", email="Ada@example.org")
    yield payload("PUT /users/{user_id}", "/users/1", username="m", email="Ada@example.org")
    yield payload("PATCH /users/{user_id}", "/users/1", email="Ada@example.org")
    yield payload("PATCH /users/{user_id}", f"/users/{LARGEST_ID}", active=True)
    yield payload("PATCH /users/{user_id}", "/users/1", **{HEAVY_NAME: 1})
    yield Request("DELETE /users/{user_id}", "DELETE", f"/users/{LARGEST_ID}")
    yield Request("GET /users/{user_id}", "GET", f"/users/{LARGEST_ID}")
    yield Request("GET /users", "GET", "/users?limit=1")
    yield Request("GET /users", "GET", f"/users?after={LARGEST_ID}")
    yield Request("GET /users", "GET", "/users?limit=1&after=1")
    query = urlencode({"key": LONGEST_NAME, "q": LONGEST_NAME[:LONGEST_QUERY], "active": "false"})
    yield Request("GET /users", "GET", f"/users?limit=1000&after={LARGEST_ID - 1002}&{query}")


class DocumentChecker:
    """Compares documents with the service; requests derived from the original document are sent for each."""

    def __init__(
        self,
        stage: ServiceStates,
        document: Mapping[str, Any],
        filled: Mapping[Any, tuple[Request, Response]],
    ) -> None:
        self.stage, self.corpus = stage, dict[str, dict[Request, None]]()
        self.judged: dict[str, tuple[list[str], dict[str, Observations]]] = {}
        whole = resolved(document)
        self.ids = _operation_ids(whole)
        for request in [*(request for request, _ in filled.values()), *at_the_ends()]:
            self.corpus.setdefault(request.operation, {})[request] = None
        for name, operation in operations(whole):
            self.corpus[name] |= dict.fromkeys(probes(name, operation, _path_parameters(whole, name)))

    def complaints(self, document: Mapping[str, Any]) -> Iterator[str]:
        """Yield every difference between the document and the service."""
        try:
            whole = resolved(document)
        except KeyError as missing:
            yield f"unresolved reference: {missing}"
            return
        for place, schema in schemas(document):
            yield from (f"{'/'.join(place)}: {complaint}" for complaint in _of_shape(schema))
        named = dict(operations(whole))
        yield from (f"no such operation: {name}" for name in self.corpus.keys() - named.keys())
        yield from (f"the service does not have {name}" for name in named.keys() - self.corpus.keys())
        if (ids := _operation_ids(whole)) != self.ids:
            yield f"operationIds differ from the handlers: {ids}"
        seen: dict[str, Observations] = {}
        yield from self._of_place(document)
        for name in filter(self.corpus.__contains__, named):
            if (names := [one["name"] for one in _path_parameters(whole, name)]) != re.findall(
                r"{(.*?)}", name
            ):
                yield f"{name}: the path does not contain {names}"
            security = named[name].get("security", whole.get("security"))
            found, shown = self._of_operation(name, named[name], _path_parameters(whole, name), security)
            yield from found
            for place, ends in shown.items():
                seen.setdefault(place, Observations(ends.schema)).merge(ends)
        for place, ends in seen.items():
            yield from (f"{place}: {complaint}" for complaint in ends.complaints())

    def _of_place(self, document: Mapping[str, Any]) -> Iterator[str]:
        """Yield each operation that is not served below the first server, whose variables have defaults."""
        server = document.get("servers", [{"url": "/"}])[0]
        url = server["url"].format(
            **{name: one["default"] for name, one in server.get("variables", {}).items()}
        )
        base = urlsplit(url).path.rstrip("/")
        for name in self.corpus:
            method, path = name.split(" ")
            request = Request(name, method, base + path.replace("{user_id}", "2"))
            if base and self.stage.ask(request).status == HTTPStatus.NOT_FOUND:
                yield f"{request.target} is not served"

    def _of_operation(
        self, name: str, operation: Part, path_parameters: list[Any], security: list[Any] | None
    ) -> tuple[list[str], dict[str, Observations]]:
        """Return the differences and observations; cached, because most mutants affect few operations."""
        key = json.dumps([name, operation, path_parameters, security])
        if key not in self.judged:
            requests = self.corpus[name] | dict.fromkeys(probes(name, operation, path_parameters))
            exchanges = [(request, self.stage.ask(request)) for request in requests]
            found = [
                complaint
                for one in (*path_parameters, *operation.get("parameters", []))
                for complaint in _of_style(one)
            ]
            rules = Rules(name, operation, path_parameters, security)
            found += [*_of_requests(rules, exchanges), *_of_answers(operation, exchanges)]
            found += self._of_defaults(name, operation)
            self.judged[key] = (
                [f"{name}: {complaint}" for complaint in found],
                _observed(operation, exchanges),
            )
        return self.judged[key]

    def _of_defaults(self, name: str, operation: Part) -> Iterator[str]:
        request = sample(name, operation)
        for parameter in operation.get("parameters", []):
            if "default" in parameter["schema"]:
                said = request._replace(
                    target=f"{request.target}?{parameter['name']}={parameter['schema']['default']}"
                )
                if self.stage.ask(said).body != self.stage.ask(request).body:
                    yield f"{said.target} and {request.target} have different responses"


def _operation_ids(document: Mapping[str, Any]) -> list[str]:
    return sorted(operation.get("operationId", "") for _, operation in operations(document))


def _path_parameters(document: Mapping[str, Any], name: str) -> list[Any]:
    parameters: list[Any] = document["paths"][name.split(" ")[1]].get("parameters", [])
    return parameters


def _of_style(parameter: Mapping[str, Any]) -> Iterator[str]:
    """Yield what OpenAPI does not define for a parameter that has a single value."""
    if parameter.get("style", next(iter(STYLES[parameter["in"]]))) not in STYLES[parameter["in"]]:
        yield f"{parameter['name']} cannot have the style {parameter['style']}"
    if parameter["in"] == "path" and not parameter.get("required"):
        yield f"{parameter['name']} is in the path, so it is required"


def _of_requests(rules: Rules, exchanges: list[tuple[Request, Response]]) -> Iterator[str]:
    for request, answer in exchanges:
        if request.state in {"misfit", "away"} or answer.status in BEFORE_THE_RULES:
            continue
        if not agrees(verdict := rules.verdict(request), answer):
            body = request.body or b""
            what = (
                f"{request.method} {request.target[:80]} {dict(request.headers)} "
                f"{body[:60]!r} of {len(body)} bytes"
            )
            yield f"{what} should return {int(verdict)}, but returns {answer.status}"


def _of_answers(operation: Part, exchanges: list[tuple[Request, Response]]) -> Iterator[str]:
    told = {str(answer.status) for _, answer in exchanges}
    yield from (f"{status} was never returned" for status in operation["responses"].keys() - told)
    yield from (f"{status} is not documented" for status in told - operation["responses"].keys())
    for status, response in operation["responses"].items():
        answers = [answer for _, answer in exchanges if str(answer.status) == status]
        yield from (
            f"{status}: {complaint}" for complaint in _of_bodies(response.get("content", {}), answers)
        )
        yield from (
            f"{status}: {complaint}" for complaint in _of_headers(response.get("headers", {}), answers)
        )


def _of_bodies(content: Mapping[str, Any], answers: list[Response]) -> Iterator[str]:
    validators = {kind: compiled(one["schema"]) for kind, one in content.items()}
    said = {answer.headers.get("content-type") for answer in answers} if validators else set()
    yield from (f"{kind} was never returned" for kind in validators.keys() - said)
    for answer in answers:
        if not validators:
            if answer.body:
                yield "undocumented body"
        elif not answer.body or (validator := validators.get(answer.headers["content-type"])) is None:
            yield "missing body or another media type"
        else:
            for error in validator.iter_errors(answer.json()):
                place = "/".join("*" if isinstance(step, int) else step for step in error.instance_path)
                yield f"{place}: {error.message[:200]}"


def _of_headers(documented: Mapping[str, Any], answers: list[Response]) -> Iterator[str]:
    names = {name.lower(): header for name, header in documented.items()}
    for name, header in names.items():
        there = [name in answer.headers for answer in answers]
        if not any(there) or all(there) != header.get("required", False):
            yield f"the header {name} is present in {sum(there)} of {len(there)} responses"
        check = compiled(header["schema"])
        yield from (
            f"the header {name} is {answer.headers[name]!r}"
            for answer in answers
            if name in answer.headers and not check.is_valid(answer.headers[name])
        )
    sent = {name for answer in answers for name in answer.headers}
    yield from (f"the header {name} is not documented" for name in sent - names.keys() - OF_HTTP)


def _observed(operation: Part, exchanges: list[tuple[Request, Response]]) -> dict[str, Observations]:
    seen: dict[str, Observations] = {}
    for _, answer in exchanges:
        response = operation["responses"].get(str(answer.status), {})
        for one in response.get("content", {}).values():
            if answer.body:
                observe(one["schema"], answer.json(), seen)
        for name, header in response.get("headers", {}).items():
            if name.lower() in answer.headers:
                observe(header["schema"], answer.headers[name.lower()], seen)
    return seen


def _of_shape(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield what responses cannot show: no type or bound, or an integer format that contradicts bounds."""
    if "type" not in schema:
        yield "has no type"
    elif schema["type"] == "string" and not {"minLength", "enum"} & schema.keys():
        yield "has no minimum length"
    elif schema["type"] == "integer":
        wanted = "int32" if schema.get("maximum", LARGEST_INT32 + 1) <= LARGEST_INT32 else "int64"
        if schema.get("format") != wanted:
            yield f"is no {schema.get('format')}"
