"""An operation of the document, compiled at startup: whatever it says about a request and a response is in here."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from connexion.exceptions import ResolverError
from starlette.types import Receive, Scope

from users_api.engine.api import Api
from users_api.engine.bodies import Bodies
from users_api.engine.calls import Handler, unresolved
from users_api.engine.connexion_internals import CONTEXT_KEY, bind
from users_api.engine.document import OperationNode
from users_api.engine.failures import DocumentError, HandlerNotFound
from users_api.engine.originals import CustomValidators, Delegated, OperationView
from users_api.engine.parameters import Parameters
from users_api.engine.reading import replay
from users_api.engine.responses import Response, Responses
from users_api.engine.running import Runners
from users_api.engine.security import Security, query_names

ENCODED_SLASH: Final = re.compile("%2f", re.IGNORECASE)
NUMERIC: Final = {"integer", "number", "boolean"}
NUMBERS: Final = {"integer", "number"}
INTEGER: Final = re.compile(r"[+-]?[0-9]{1,100}")
DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
NO_EXTENSIONS: Final[Mapping[str, Any]] = {}
BODILESS: Final = {"trace"}  # RFC 9110, 9.3.8; for GET and DELETE the document decides.


class Operation:
    """One operation: routing, security, validation, the call and the response read it, and nothing looks it up again."""

    rule: Any = None  # Flask's, once it is registered there.
    function: Any = None  # Once it is resolved.

    def __init__(self, node: OperationNode, api: Api, index: int, runners: Runners, *, is_secured: bool = True) -> None:
        """Compile the operation; its security is somebody else's business when the program has removed that middleware.

        Raises:
            DocumentError: the document asks for something that cannot be enforced, or the handler does not fit.
            HandlerNotFound: the operationId leads to no function.
        """
        self.path, self.method, self.pointer, self.index = node.path, node.method, node.pointer, index
        self.api, self.definition = api, node.operation
        self.whole_path = api.base_path + node.path
        self.operation_id: str = node.operation.get("operationId", "")
        self.view = OperationView(self)
        self.metric_name = self.operation_id.rpartition(".")[2] or f"{node.method} {self.whole_path}"
        self.security = Security.compile(
            node.security if is_secured else None,
            api.security_schemes,
            f"{node.pointer}/security",
            security_map=api.options.security_map,
        )
        self.parameters = Parameters(
            node.parameters,
            schemas=api.schemas,
            strict=api.options.strict_validation,
            argument_name=api.argument_name,
            known_query=query_names(node.security, api.security_schemes),
            uri_parser_class=api.options.uri_parser_class,
        )
        self.path_types = {
            definition["name"]: api.type_of(definition) for definition, _ in node.parameters if definition["in"] == "path"
        }
        plain = [one["name"] for one, _ in node.parameters if one["in"] == "path" and one.get("style", "simple") == "simple"]
        numbers = [name for name in plain if self.path_types[name] in NUMBERS]
        self._converts = {} if api.options.strict_validation else dict.fromkeys(numbers, as_number)
        self._numeric = [name for name, kind in self.path_types.items() if kind in NUMERIC]
        self.spanning_names = frozenset(name for name, kind in self.path_types.items() if kind == "path")
        self.bodies = self._compile_bodies()
        self.responses = Responses(
            node.operation["responses"],
            f"{node.pointer}/responses",
            document=api.document,
            schemas=api.schemas,
            jsonifier=api.options.jsonifier or runners.jsonifier,
            operation_id=self.operation_id or self.metric_name,
            strict=api.options.strict_validation,
            validate=api.options.validate_responses,
            validated_elsewhere=Delegated((api.options.validator_map or {}).get("response")),
        )
        self.function = self._resolve()
        declared = self.parameters.arguments | ({self.body_name} if self.bodies else set())
        self.handler = Handler(self, frozenset(declared), has_files=self.bodies is not None)
        self._run = runners.make(self.handler, self.responses, self.operation_id)
        self._validates = api.options.validate_responses
        self.validators = self._compile_validators()

    def _compile_bodies(self) -> Bodies | None:
        body = self.definition.get("requestBody")
        if body is None:
            return None
        pointer = f"{self.pointer}/requestBody"
        if self.method in BODILESS:
            problem = f"{self.method.upper()} carries no body"
            raise DocumentError(pointer, problem, "remove it")
        definition, pointer = self.api.document.resolve(body, pointer)
        bodies = Bodies(
            definition,
            pointer,
            document=self.api.document,
            schemas=self.api.schemas,
            strict=self.api.options.strict_validation,
            uri_parser_class=self.api.options.uri_parser_class,
            validated_elsewhere=Delegated((self.api.options.validator_map or {}).get("body")),
        )
        self.body_name = self.api.argument_name(bodies.name)
        return bodies

    def _compile_validators(self) -> CustomValidators | None:
        """Return the program's own validators, None when it has none."""
        options = self.api.options
        if not options.validator_map:
            return None
        return CustomValidators(self.view, options.validator_map, strict=options.strict_validation)

    def _resolve(self) -> Any:
        """Return the handler, by the API's resolver, which may also change the operationId."""
        try:
            resolution = self.api.resolver.resolve(self.view)
        except ResolverError as error:
            if self.api.options.resolver_error is None:
                pointer = f"{self.pointer}/operationId"
                raise HandlerNotFound(pointer, error, self.operation_id) from None
            return unresolved(error, self.api.options.resolver_error)
        self.operation_id = resolution.operation_id
        return resolution.function

    def takes(self, texts: Mapping[str, str]) -> bool:
        """Return whether the texts may be this path's parameters: no number holds an encoded slash."""
        return not any("%" in texts[name] and ENCODED_SLASH.search(texts[name]) for name in self._numeric)

    def arguments(self, scope: Scope, texts: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """Return the arguments for the handler, by their names.

        Raises:
            UnsupportedMediaType, InvalidParameter, InvalidPayload, InvalidPathParameter: in this order of precedence.
        """
        parse = self.bodies.select(scope["headers"], body) if self.bodies else None
        arguments = self.parameters.parse(scope)
        if parse:
            payload = parse(body)
            arguments.update({name: value for name, value in payload.files.items() if self.handler.takes(name)})
            arguments[self.body_name] = payload.value
        if texts:
            if self._converts:
                texts = {name: self._converts.get(name, str)(text) for name, text in texts.items()}
            scope["path_params"] = path = self.parameters.parse_path(texts)
            arguments.update(path)
        return arguments

    async def call(self, scope: Scope, receive: Receive, body: bytes, arguments: dict[str, Any]) -> Response:
        """Return the handler's response, converted and, where the API says so, validated."""
        context = scope.get("extensions", NO_EXTENSIONS).get(CONTEXT_KEY)
        if context:
            self.handler.add_context(arguments, context)
        bind(self.view, scope, replay(body, receive), {} if context is None else context)
        response = await self._run(scope, body, self.handler.select(arguments))
        if self._validates:
            response = await self.responses.validate(response, head=scope["method"] == "HEAD")
            if self.validators and self.validators.of_responses:
                response = await self.validators.check_response(scope, response)
        return response


def as_number(text: str) -> str:
    """Return a number that Connexion's router accepts, such as `+1`, `007` or `.5`, as JSON spells it; other texts unchanged."""
    number = unquote(text)
    if INTEGER.fullmatch(number):
        return str(int(number))
    return repr(float(number)) if DECIMAL.fullmatch(number) else text
