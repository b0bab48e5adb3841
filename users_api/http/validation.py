"""Connexion's request validation with the validators of each operation made once; stock Connexion makes them for each request."""

from typing import Any, Final

from connexion.middleware.request_validation import (
    RequestValidationAPI,
    RequestValidationMiddleware,
    RequestValidationOperation,
)
from connexion.operations import AbstractOperation
from connexion.utils import is_nullable
from starlette.types import ASGIApp, Receive, Scope, Send

MEDIA_TYPE: Final = "application/json"


class Operation(RequestValidationOperation):
    """An operation with the validators that the validator map names for its parameters and its body.

    The guard has seen to it that a body is JSON, the only media type of the document.
    """

    def __init__(self, next_app: ASGIApp, *, operation: AbstractOperation, **options: Any) -> None:
        """Make the validators."""
        super().__init__(next_app, operation=operation, **options)
        validators: dict[str, Any] = self._validator_map
        self._parameters = validators["parameter"](operation.parameters)
        self._body = None
        if schema := operation.body_schema(MEDIA_TYPE):
            self._body = validators["body"][MEDIA_TYPE](
                schema=schema,
                required=operation.request_body.get("required", False),
                nullable=is_nullable(operation.body_definition(MEDIA_TYPE)),
                encoding="utf-8",
                strict_validation=self.strict_validation,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Validate the request, and pass it on."""
        self._parameters.validate(scope)
        if self._body:
            receive, scope = await self._body.wrap_receive(receive, scope=scope)
        await self.next_app(scope, receive, send)


class API(RequestValidationAPI):
    """The document's operations by their ids."""

    def make_operation(self, operation: AbstractOperation) -> Operation:
        """Return the operation with its validators."""
        return Operation(self.next_app, operation=operation, validator_map=self.validator_map)


class Validation(RequestValidationMiddleware):
    """Validates each request by its operation."""

    api_cls = API
