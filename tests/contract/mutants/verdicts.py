"""Derives from a document whether the service must accept a request."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from jsonschema_rs import Draft4Validator

from tests.contract.mutants.exchanges import Request, Response

NUMBER = re.compile(r"0|-?[1-9][0-9]*")
FRACTION = re.compile(rf"({NUMBER.pattern})(\.[0-9]+)?")
PREFIXES = {"label": ".", "matrix": ";{}="}
TAKEN = "Sorry. That email already exists."


def draft4(schema: Any) -> Any:
    """Convert an OpenAPI 3.0 schema to JSON Schema draft 4, where `nullable` is another type."""
    if isinstance(schema, list):
        return [draft4(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    plain = {name: draft4(rule) for name, rule in schema.items() if name not in {"example", "description"}}
    if schema.get("nullable") is True and "type" in plain:
        plain["type"] = [plain["type"], "null"]
    return plain


class Rules:
    """The compiled rules of an operation for requests."""

    def __init__(
        self,
        name: str,
        operation: Mapping[str, Any],
        path_parameters: list[Any],
        security: list[Any] | None = None,
    ) -> None:
        self.is_closed = bool(security) and {} not in security
        self.path = name.split(" ")[1]
        self.parameters = {
            place: {one["name"]: one for one in operation.get("parameters", []) if one["in"] == place}
            for place in ("query", "header")
        }
        self.in_path = [compiled(one["schema"]) for one in path_parameters]
        self.prefixes = [
            PREFIXES.get(one.get("style", ""), "").format(one["name"]) for one in path_parameters
        ]
        self.payload = operation.get("requestBody")
        self.content = {
            kind: compiled(one["schema"]) for kind, one in (self.payload or {}).get("content", {}).items()
        }
        self.compiled = {
            name: compiled(one["schema"])
            for parameters in self.parameters.values()
            for name, one in parameters.items()
        }

    def verdict(self, request: Request) -> int:
        """Return the required status: 401, 415, 400, 404, or 200 for any well-formed request."""
        headers = dict(request.headers)
        if self.is_closed and "Authorization" not in headers:
            return HTTPStatus.UNAUTHORIZED
        if self.payload and request.body and headers.get("Content-Type") not in self.content:
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        if any(self._refusals(request, headers)):
            return HTTPStatus.BAD_REQUEST
        return HTTPStatus.OK if self._may_exist(request) else HTTPStatus.NOT_FOUND

    def _refusals(self, request: Request, headers: Mapping[str, str]) -> Iterator[bool]:
        pairs = parse_qsl(urlsplit(request.target).query, keep_blank_values=True)
        counted = Counter(name for name, _ in pairs)
        yield any(times > 1 or name not in self.parameters["query"] for name, times in counted.items())
        for given in (
            dict(pairs),
            {name: text for name, text in headers.items() if name in self.parameters["header"]},
        ):
            yield any(
                not self.compiled[name].is_valid(self._typed(name, text))
                for name, text in given.items()
                if name in self.compiled
            )
        for place, given in (("query", counted), ("header", headers)):
            yield any(
                one.get("required", False) and name not in given
                for name, one in self.parameters[place].items()
            )
        if self.payload and not request.body:
            yield bool(self.payload.get("required", False))
        elif self.payload:
            yield not self.content[headers["Content-Type"]].is_valid(json.loads(request.body))

    def _typed(self, name: str, text: str) -> Any:
        schema = (self.parameters["query"].get(name) or self.parameters["header"][name])["schema"]
        if schema.get("type") == "integer" and NUMBER.fullmatch(text):
            return int(text)
        if schema.get("type") == "number" and FRACTION.fullmatch(text):
            return float(text)
        return {"true": True, "false": False}.get(text, text) if schema.get("type") == "boolean" else text

    def _may_exist(self, request: Request) -> bool:
        if not self.in_path:
            return True
        text = urlsplit(request.target).path.rpartition("/")[2]
        number = text.removeprefix(self.prefixes[0])
        is_styled = text.startswith(self.prefixes[0]) and bool(NUMBER.fullmatch(number))
        return is_styled and all(one.is_valid(int(number)) for one in self.in_path)


def compiled(schema: Any) -> Draft4Validator:
    """Return the validator of an OpenAPI schema, including formats."""
    return Draft4Validator(draft4(schema), validate_formats=True)


def given(answer: Response) -> int:
    """Return the verdict on the form of the request; a well-formed one may still not find its user."""
    status = answer.status
    if status == HTTPStatus.BAD_REQUEST and answer.json()["message"] == TAKEN:
        return HTTPStatus.OK
    refused = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.NOT_FOUND}
    return status if status in refused or status >= HTTPStatus.INTERNAL_SERVER_ERROR else HTTPStatus.OK


def agrees(verdict: int, answer: Response) -> bool:
    """Return whether the response matches the verdict; the user of a well-formed id may not exist."""
    said = given(answer)
    return said == verdict or (verdict == HTTPStatus.OK and said == HTTPStatus.NOT_FOUND)
