"""Turns failures into responses: `application/problem+json` or those of the program's handlers."""

import inspect
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from connexion.exceptions import InternalServerError, ProblemException
from connexion.http_facts import HTTP_STATUS_CODES
from connexion.lifecycle import ConnexionRequest, ConnexionResponse
from connexion.problem import problem
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response as StarletteResponse
from starlette.types import Receive, Scope
from werkzeug.exceptions import HTTPException as WerkzeugHTTPException
from werkzeug.wrappers import Response as WerkzeugResponse

from users_api.engine.responses import Response, from_werkzeug

logger = logging.getLogger(__name__)
ErrorHandler = Callable[[ConnexionRequest, Any], Any]


class ErrorHandlers:
    """The table of failures: by exception class or by status, the function that turns one into a response.

    The lookup is Starlette's: the status first, then the class and its bases.
    """

    def __init__(self) -> None:
        """Start with Connexion's own handlers."""
        self._statuses: dict[int, ErrorHandler] = {}
        self._classes: dict[type[BaseException], ErrorHandler] = {
            ProblemException: handle_problem,
            HTTPException: handle_http_exception,
            Exception: handle_exception,
        }

    def add(self, code_or_exception: int | type[Exception], function: ErrorHandler) -> None:
        """Register a function, plain or async, that returns a ConnexionResponse or an engine's Response."""
        if isinstance(code_or_exception, int):
            self._statuses[code_or_exception] = function
        else:
            self._classes[code_or_exception] = function

    async def respond(self, scope: Scope, receive: Receive, error: Exception) -> Response:
        """Return the response to a failure; an exception in an error handler counts as unexpected."""
        request = ConnexionRequest.from_starlette_request(Request(scope, receive))
        for handle in (self._handle, self._classes[Exception]):
            try:
                return await _call(handle, request, error)
            except Exception as another:  # noqa: BLE001 -- the next error handler gets it; Connexion's own cannot fail.
                error = another
        return await _call(handle_exception, request, error)

    async def _handle(self, request: ConnexionRequest, error: Exception) -> Response:
        """Call the matching handler; werkzeug's exceptions (`flask.abort`) are treated as Starlette's."""
        if isinstance(error, WerkzeugHTTPException) and self._classes.keys().isdisjoint(
            type(error).__mro__[:-3]
        ):
            if isinstance(error.response, WerkzeugResponse):
                return from_werkzeug(error.response)
            error = HTTPException(error.code or HTTPStatus.INTERNAL_SERVER_ERROR, detail=error.description)
        return await _call(self._find(error), request, error)

    def _find(self, error: Exception) -> ErrorHandler:
        if isinstance(error, HTTPException) and (handle := self._statuses.get(error.status_code)):
            return handle
        return next(self._classes[base] for base in type(error).__mro__ if base in self._classes)


async def _call(handle: ErrorHandler, request: ConnexionRequest, error: Exception) -> Response:
    returned = (
        await handle(request, error)
        if inspect.iscoroutinefunction(handle)
        else (await run_in_threadpool(handle, request, error))
    )
    while isinstance(returned, Awaitable):
        returned = await returned
    return returned if isinstance(returned, Response) else _from_connexion(returned)


def _from_connexion(response: ConnexionResponse) -> Response:
    """Return the response as Connexion's exception middleware writes it."""
    rendered = StarletteResponse(
        response.body,
        status_code=response.status_code,
        headers=response.headers,
        media_type=response.mimetype,
    )
    return Response(rendered.status_code, rendered.raw_headers, bytes(rendered.body))


def _log(error: Exception, status: int) -> None:
    level = logging.WARNING if status < HTTPStatus.INTERNAL_SERVER_ERROR else logging.ERROR
    logger.log(level, "%r", error)


async def handle_problem(_request: ConnexionRequest, error: ProblemException) -> ConnexionResponse:
    """Return the problem that the exception describes."""
    _log(error, error.status)
    response: ConnexionResponse = error.to_problem()
    return response


async def handle_http_exception(_request: ConnexionRequest, error: HTTPException) -> ConnexionResponse:
    """Return a problem with the exception's status."""
    _log(error, error.status_code)
    response: ConnexionResponse = problem(
        title=HTTP_STATUS_CODES.get(error.status_code),
        detail=error.detail,
        status=error.status_code,
        headers=error.headers,
    )
    return response


async def handle_exception(_request: ConnexionRequest, error: Exception) -> ConnexionResponse:
    """Log the exception, and return a 500 without details."""
    logger.error("Unhandled exception", exc_info=error)
    response: ConnexionResponse = InternalServerError().to_problem()
    return response
