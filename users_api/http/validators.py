"""The document's word on parameters and bodies, compiled once and enforced whole: Connexion's `validator_map`.

Stock Connexion rebuilds a jsonschema validator for each request, stops at the first error and checks hardly any format.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import orjson
from connexion.datastructures import MediaTypeDict
from connexion.validators import AbstractRequestBodyValidator
from jsonschema_rs import Draft4Validator, ValidationError
from starlette.types import Receive, Scope

from users_api.errors import FieldError, InvalidParameter, InvalidPayload

MOST_NAMES: Final = 12_000  # To list a megabyte of unknown names would hold up the worker's other requests for half a second.
TOO_DEEP: Final = "is nested too deeply"
INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,17}")
BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
BOOLEANS: Final = {"true": True, "false": False}
WORDS: Final = {
    "type": "must be of type {types[0]}",
    "minLength": "must have {limit} or more characters",
    "maxLength": "must have {limit} or fewer characters",
    "minimum": "must be {limit} at least",
    "maximum": "must be {limit} at most",
    "format": "must be a valid {format}",
    "pattern": "must match {pattern}",
    "minProperties": "must have {limit} or more properties",
}


def compile_schema(schema: Mapping[str, Any]) -> Draft4Validator:
    """Return the validator of a schema with its formats; OpenAPI 3.0 builds on JSON Schema's drafts 4 and 5."""
    return Draft4Validator({name: rule for name, rule in schema.items() if name != "components"}, validate_formats=True)


class Parameter(NamedTuple):
    """A query parameter or header of the document."""

    name: str
    type: str
    validator: Draft4Validator

    def check(self, text: str, errors: list[FieldError]) -> Any:
        """Return the value that the text stands for; what is wrong with it is added to the errors."""
        value: Any = text
        if self.type == "integer" and INTEGER.fullmatch(text):
            value = int(text)
        elif self.type == "boolean":
            value = BOOLEANS.get(text, text)
        errors += [FieldError(self.name, _words(error)) for error in self.validator.iter_errors(value)]
        return value


class ParameterTable(NamedTuple):
    """The parameters of one operation by their names."""

    query: dict[str, Parameter]
    headers: dict[bytes, Parameter]
    defaults: dict[str, Any]


def compile_parameters(parameters: Sequence[Mapping[str, Any]]) -> ParameterTable:
    """Return the table of an operation's parameters."""
    table = ParameterTable({}, {}, {})
    for parameter in parameters:
        name, schema = parameter["name"], parameter["schema"]
        if "default" in schema:
            table.defaults[name] = schema["default"]
        compiled = Parameter(name, schema["type"], compile_schema(schema))
        if parameter["in"] == "query":
            table.query[name] = compiled
        elif parameter["in"] == "header":
            table.headers[name.lower().encode()] = compiled
    return table


class Parameters:
    """Parses the query and the headers, checks them and leaves them as the handler's arguments.

    The path is the guard's: an ill-formed id is a user that does not exist, not a bad request.
    """

    def __init__(self, parameters: Sequence[Mapping[str, Any]]) -> None:
        """Compile the operation's parameters."""
        self._table = compile_parameters(parameters)

    def validate(self, scope: Scope) -> None:
        """Raise InvalidParameter with every error, or go on."""
        errors: list[FieldError] = []
        found = dict(self._table.defaults)
        if scope["query_string"]:
            self._take_query(scope["query_string"], found, errors)
        if self._table.headers:
            self._take_headers(scope["headers"], found, errors)
        if errors:
            raise InvalidParameter(errors)
        scope["arguments"] |= found

    def _take_query(self, query: bytes, found: dict[str, Any], errors: list[FieldError]) -> None:
        try:
            pairs = _parse_query(query)
        except ValueError:
            errors.append(FieldError("", "the query must be percent-encoded UTF-8"))
            return
        for name, times in Counter(name for name, _ in pairs).items():
            if name not in self._table.query:
                errors.append(FieldError(name, "is not a known parameter"))
            elif times > 1:
                errors.append(FieldError(name, "is given more than once"))
        found |= {name: self._table.query[name].check(text, errors) for name, text in pairs if name in self._table.query}

    def _take_headers(self, headers: list[tuple[bytes, bytes]], found: dict[str, Any], errors: list[FieldError]) -> None:
        for key, parameter in self._table.headers.items():
            if lines := [value.strip(b" \t").decode("latin-1") for name, value in headers if name == key]:
                found[key.decode().replace("-", "_")] = parameter.check(", ".join(lines), errors)


class Body(AbstractRequestBodyValidator):
    """Parses a JSON body, checks it and leaves it as the handler's argument `body`."""

    def __init__(self, schema: dict[str, Any], **options: Any) -> None:
        """Compile the body's schema."""
        super().__init__(schema=schema, **options)
        self._validator = compile_schema(schema)

    async def wrap_receive(self, receive: Receive, *, scope: Scope) -> tuple[Receive, Scope]:
        """Raise InvalidPayload with every error, or go on; the guard has put the whole body into one message."""
        message = await receive()
        body = _parse_json(message["body"])
        if isinstance(body, dict) and len(body) > MOST_NAMES:
            raise InvalidPayload([FieldError("", f"must have {MOST_NAMES} or fewer properties")])
        try:
            errors = [field for error in self._validator.iter_errors(body) for field in _explain(error)]
        except ValueError:  # The validator goes down as far as 255 levels.
            raise InvalidPayload([FieldError("", TOO_DEEP)]) from None
        errors += _repetitions(message["body"], body)
        if errors:
            raise InvalidPayload(errors)
        scope["arguments"]["body"] = body
        return receive, scope


VALIDATORS: Final = {"parameter": Parameters, "body": MediaTypeDict({"application/json": Body})}


def _parse_query(query: bytes) -> list[tuple[str, str]]:
    """Return names and values; raise ValueError where an escape is broken or the text is not UTF-8."""
    text = query.decode("ascii")
    if BROKEN_ESCAPE.search(text):
        raise ValueError
    return parse_qsl(text, keep_blank_values=True, errors="strict")


def _parse_json(body: bytes) -> Any:
    """Return the JSON value; orjson refuses what RFC 8259 does, and lone surrogates and endless depth too."""
    if not body:
        raise InvalidPayload([FieldError("", "is required")])
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidPayload([FieldError("", f"must be JSON in UTF-8: {error}")]) from None


def _repetitions(text: bytes, body: Any) -> list[FieldError]:
    """Return an error for each name that stands twice in one object: readers differ in the value they take (RFC 8259, 4)."""
    errors: list[FieldError] = []
    if isinstance(body, dict) and text.count(b":") == len(body):  # A name has a colon each time, so none can stand there twice.
        return errors

    def note(pairs: list[tuple[str, Any]]) -> None:
        times = Counter(name for name, _ in pairs)
        repeated = [FieldError(name, "is given more than once") for name in times if times[name] > 1]
        errors.extend(repeated[: MOST_NAMES - len(errors)])

    try:
        json.loads(text, object_pairs_hook=note, parse_int=str, parse_float=str)
    except RecursionError:
        errors.append(FieldError("", TOO_DEEP))
    return errors


def _explain(error: ValidationError) -> Iterator[FieldError]:
    """Yield an entry for each property that the error is about."""
    kind = error.kind.as_dict()
    if error.kind.name == "required":
        yield FieldError(kind["property"], "is required")
    elif error.kind.name == "additionalProperties":
        yield from (FieldError(name, "is not a known property") for name in kind["unexpected"])
    else:
        yield FieldError(str(error.instance_path[0]) if error.instance_path else "", _words(error))


def _words(error: ValidationError) -> str:
    """Return the rule in words; never the value, which may be long or private."""
    return WORDS[error.kind.name].format_map(error.kind.as_dict())
