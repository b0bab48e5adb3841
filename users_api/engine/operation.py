"""An operation, compiled at startup: all that the document says about its requests and responses."""

import re
from collections.abc import Awaitable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from connexion.exceptions import ResolverError
from starlette.types import Receive, Scope

from users_api.engine.api import Api
from users_api.engine.bodies import Bodies
from users_api.engine.body_reader import replay_body
from users_api.engine.calls import Handler, make_missing_handler
from users_api.engine.connexion_adapters import CustomValidators, DelegatedMediaTypes, OperationView
from users_api.engine.connexion_internals import CONTEXT_KEY, bind_request
from users_api.engine.document import OperationNode
from users_api.engine.failures import DocumentError, HandlerNotFound
from users_api.engine.parameters import Parameters
from users_api.engine.responses import Response
from users_api.engine.return_values import Responses
from users_api.engine.runners import RunnerFactory
from users_api.engine.security import Security, query_names

ENCODED_SLASH: Final = re.compile("%2f", re.IGNORECASE)
NUMERIC_OR_BOOLEAN: Final = {"integer", "number", "boolean"}
NUMBERS: Final = {"integer", "number"}
INTEGER: Final = re.compile(r"[+-]?[0-9]{1,100}")
DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
BODILESS_METHODS: Final = {"trace"}  # RFC 9110, 9.3.8; for GET and DELETE the document decides.


class Operation:
    """One compiled operation, used by routing, security, validation, the call and the response."""

    rule: Any = None  # Flask's rule, once the operation is registered with Flask.
    function: Any = None  # The handler, once it is resolved.

    def __init__(  # noqa: PLR0913 -- two facts about the program, beside the operation's own.
        self,
        node: OperationNode,
        api: Api,
        index: int,
        runners: RunnerFactory,
        *,
        is_secured: bool = True,
        context_by_name: bool = False,
        checks_responses: bool = False,
    ) -> None:
        """Compile the operation; `is_secured` is False if the program has removed the security middleware.

        With `checks_responses`, its responses are compiled for checks even without `validate_responses`.

        Raises:
            DocumentError: a feature cannot be enforced, or the handler's signature does not fit.
            HandlerNotFound: the operationId resolves to no function.
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
            definition["name"]: api.parameter_type(definition)
            for definition, _ in node.parameters
            if definition["in"] == "path"
        }
        plain = [
            one["name"]
            for one, _ in node.parameters
            if one["in"] == "path" and one.get("style", "simple") == "simple"
        ]
        numbers = [name for name in plain if self.path_types[name] in NUMBERS]
        self._converts = {} if api.options.strict_validation else dict.fromkeys(numbers, as_number)
        self._numeric = [name for name, kind in self.path_types.items() if kind in NUMERIC_OR_BOOLEAN]
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
            validate=api.options.validate_responses or checks_responses,
            validated_elsewhere=DelegatedMediaTypes((api.options.validator_map or {}).get("response")),
        )
        self._takes_nothing = not (self.parameters or self.bodies)
        self.function = self._resolve()
        declared = self.parameters.arguments | ({self.body_name} if self.bodies else set())
        self.handler = Handler(
            self, frozenset(declared), has_files=self.bodies is not None, context_by_name=context_by_name
        )
        self._run = runners.make(self.handler, self.responses, self.operation_id)
        self._validates = api.options.validate_responses
        self.validators = self._compile_validators()

    def _compile_bodies(self) -> Bodies | None:
        body = self.definition.get("requestBody")
        if body is None:
            return None
        pointer = f"{self.pointer}/requestBody"
        if self.method in BODILESS_METHODS:
            problem = f"{self.method.upper()} must not have a body"
            raise DocumentError(pointer, problem, "remove it")
        definition, pointer = self.api.document.resolve(body, pointer)
        bodies = Bodies(
            definition,
            pointer,
            document=self.api.document,
            schemas=self.api.schemas,
            strict=self.api.options.strict_validation,
            uri_parser_class=self.api.options.uri_parser_class,
            validated_elsewhere=DelegatedMediaTypes((self.api.options.validator_map or {}).get("body")),
        )
        self.body_name = self.api.argument_name(bodies.name)
        return bodies

    def _compile_validators(self) -> CustomValidators | None:
        """Return the program's own validators, or None if it has none."""
        options = self.api.options
        if not options.validator_map:
            return None
        return CustomValidators(self.view, options.validator_map, strict=options.strict_validation)

    def _resolve(self) -> Any:
        """Return the handler from the API's resolver, which may also change the operationId."""
        try:
            resolution = self.api.resolver.resolve(self.view)
        except ResolverError as error:
            if self.api.options.resolver_error is None:
                raise HandlerNotFound(self.pointer, error, self.operation_id) from None
            return make_missing_handler(error, self.api.options.resolver_error)
        self.operation_id = resolution.operation_id
        return resolution.function

    def takes(self, texts: Mapping[str, str]) -> bool:
        """Return whether the texts can be this path's parameters: no number contains an encoded slash."""
        return not any("%" in texts[name] and ENCODED_SLASH.search(texts[name]) for name in self._numeric)

    def arguments(self, scope: Scope, texts: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """Return the arguments for the handler by name.

        Raises:
            UnsupportedMediaType, InvalidParameter, InvalidPayload, InvalidPathParameter: in this order.
        """
        if self._takes_nothing and not (texts or scope["query_string"]):
            return {}
        parse = self.bodies.select(scope["headers"], body) if self.bodies else None
        arguments = self.parameters.parse(scope)
        if parse:
            payload = parse(body)
            arguments.update(
                {name: value for name, value in payload.files.items() if self.handler.accepts(name)}
            )
            arguments[self.body_name] = payload.value
        if texts:
            if self._converts:
                texts = {name: self._converts.get(name, str)(text) for name, text in texts.items()}
            scope["path_params"] = path = self.parameters.parse_path(texts)
            arguments.update(path)
        return arguments

    def call(
        self, scope: Scope, receive: Receive, body: bytes, arguments: dict[str, Any]
    ) -> Awaitable[Response]:
        """Return the handler's response, converted and, if the API requires it, validated."""
        context = scope["extensions"].get(CONTEXT_KEY) if "extensions" in scope else None
        if context is None:
            context = {}
        handler = self.handler
        if handler.needs_context or (context and not handler.names.isdisjoint(context)):
            handler.add_context(arguments, context)
        bind_request(self.view, scope, replay_body(body, receive), context)
        running = self._run(
            scope, body, arguments if handler.takes_exactly else handler.select_arguments(arguments)
        )
        return self._validated(scope, running) if self._validates else running

    async def _validated(self, scope: Scope, running: Awaitable[Response]) -> Response:
        response = await self.responses.validate(await running, head=scope["method"] == "HEAD")
        if self.validators and self.validators.of_responses:
            response = await self.validators.check_response(scope, response)
        return response


def as_number(text: str) -> str:
    """Return a number that Connexion's router accepts (`+1`, `007`, `.5`) as JSON; keep other texts."""
    number = unquote(text)
    if INTEGER.fullmatch(number):
        return str(int(number))
    return repr(float(number)) if DECIMAL.fullmatch(number) else text
