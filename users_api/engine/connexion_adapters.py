"""Connexion's own objects, for programs that use them: its view of an operation, and custom validators."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from connexion.datastructures import MediaTypeDict
from connexion.middleware.request_validation import RequestValidationOperation
from connexion.middleware.response_validation import ResponseValidationOperation
from connexion.operations import OpenAPIOperation
from connexion.resolver import Resolution
from connexion.validators import (
    FormDataValidator,
    JSONRequestBodyValidator,
    JSONResponseBodyValidator,
    MultiPartFormDataValidator,
    ParameterValidator,
    TextResponseBodyValidator,
)
from starlette.types import Message, Receive, Scope, Send

from users_api.engine.body_reader import replay_body
from users_api.engine.responses import NEVER_DISCONNECTS, Response

if TYPE_CHECKING:
    from users_api.engine.operation import Operation

STOCK_VALIDATORS: Final = {
    ParameterValidator,
    JSONRequestBodyValidator,
    FormDataValidator,
    MultiPartFormDataValidator,
    JSONResponseBodyValidator,
    TextResponseBodyValidator,
}


class OperationView:
    """The operation that resolvers and `connexion.operation` get; it creates Connexion's on first use."""

    def __init__(self, operation: "Operation") -> None:
        """Store the names."""
        self._operation = operation
        self.method, self.path = operation.method, operation.path
        self.router_controller = operation.definition.get("x-openapi-router-controller")

    @property
    def operation_id(self) -> str | None:
        """The operationId from the resolver, or None if the document has none."""
        return self._operation.operation_id or None

    @property
    def function(self) -> Any:
        """The function that the resolver has found."""
        return self._operation.function

    @cached_property
    def original(self) -> OpenAPIOperation:
        """Connexion's operation."""
        api = self._operation.api
        operation: OpenAPIOperation = OpenAPIOperation.from_spec(
            api.specification,
            path=self.path,
            method=self.method,
            resolver=self,
            uri_parser_class=api.options.uri_parser_class,
        )
        return operation

    def resolve(self, _original: OpenAPIOperation) -> Resolution:
        """Return the result of the API's resolver to Connexion's operation."""
        return Resolution(self.function, self.operation_id)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of Connexion's operation."""
        return getattr(self.original, name)


class NoParameterValidation:
    """Replaces Connexion's parameter validator and checks nothing: the engine validates parameters."""

    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        """Need nothing."""

    def validate(self, _scope: Scope) -> None:
        """Accept everything."""


class DelegatedMediaTypes:
    """The media types that the engine does not validate: the program replaced or removed the validator."""

    def __init__(self, validators: Mapping[str, Any] | None) -> None:
        """Store a section of the `validator_map`; without one, the engine validates everything."""
        self._validators = validators

    def __contains__(self, media_type: object) -> bool:
        """Return whether the section has no validator of Connexion's own for the media type."""
        return self._validators is not None and self._validators.get(str(media_type)) not in STOCK_VALIDATORS


class CustomValidators:
    """The validators of a program's `validator_map`, run for one operation by Connexion's middleware.

    Those for JSON replace the engine's checks; those for parameters and forms come before them.
    """

    def __init__(self, view: OperationView, validator_map: Mapping[str, Any], *, strict: bool) -> None:
        """Store the program's validators; the engine replaces Connexion's own."""
        self._view, self._strict = view, strict
        parameter = validator_map.get("parameter", ParameterValidator)
        bodies, responses = (_own(validator_map.get(section, {})) for section in ("body", "response"))
        self._request = {
            "parameter": NoParameterValidation if parameter in STOCK_VALIDATORS else parameter,
            "body": bodies,
        }
        self._response = {"response": responses}
        self.of_requests = bool(bodies) or parameter not in STOCK_VALIDATORS
        self.of_responses = bool(responses)

    async def check_request(self, scope: Scope, body: bytes) -> bytes:
        """Return the body after validation; the validators may fill in defaults.

        Raises:
            BadRequestProblem: a validator rejects the request.
        """
        bodies: list[bytes] = []

        async def read(_scope: Scope, receive: Receive, _send: Send) -> None:
            more = True
            while more:
                message = await receive()
                bodies.append(message.get("body", b""))
                more = message.get("more_body", False)

        validate = RequestValidationOperation(
            read, operation=self._view.original, strict_validation=self._strict, validator_map=self._request
        )
        await validate(scope, replay_body(body, NEVER_DISCONNECTS), ignore)
        return b"".join(bodies)

    async def check_response(self, scope: Scope, response: Response) -> Response:
        """Return the whole response.

        Raises:
            NonConformingResponse: a validator rejects it.
        """
        response = await response.collect()

        async def respond(scope: Scope, receive: Receive, send: Send) -> None:
            await response.send(scope, send, receive)

        validate = ResponseValidationOperation(
            respond, operation=self._view.original, validator_map=self._response
        )
        await validate(scope, NEVER_DISCONNECTS, ignore)
        return response


def _own(validators: Mapping[str, Any]) -> MediaTypeDict:
    return MediaTypeDict(
        {
            media_type: validator
            for media_type, validator in validators.items()
            if validator not in STOCK_VALIDATORS
        }
    )


async def ignore(_message: Message) -> None:
    """Send nothing."""
