"""The service's exceptions, and the response for each exception and database constraint."""

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from time import monotonic
from types import MappingProxyType
from typing import Any, Final

from connexion.exceptions import OAuthProblem, OAuthResponseProblem, OAuthScopeProblem, ProblemException
from connexion.lifecycle import ConnexionRequest
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from users_api.database import is_unavailable, is_undefined, violated_constraint
from users_api.engine import App, Response
from users_api.engine.failures import InvalidParameter, InvalidPathParameter, InvalidPayload, PathNotFound, UnsupportedMediaType
from users_api.engine.reading import BodyTimeout, BodyTooLarge
from users_api.envelope import failure

RETRY_AFTER: Final = MappingProxyType({"Retry-After": "1"})
FAULT: Final = "Something went wrong on our side."
UNAVAILABLE: Final = "The service is unavailable for the moment. Please try again."
NO_PATH: Final = "There is nothing at this path. See /ui/ for what there is."
NO_METHOD: Final = "Method not allowed. See the Allow header for what this path has."
NOT_JSON: Final = "The request body must be application/json in UTF-8, without a content coding."


class RateLimitFilter(logging.Filter):
    """Passes one record a second, since every request fails the same way during a database outage."""

    _next = 0.0

    def filter(self, _record: logging.LogRecord) -> bool:
        """Return whether the last record passed at least a second ago."""
        now = monotonic()
        if now < self._next:
            return False
        self._next = now + 1
        return True


logger = logging.getLogger(__name__)
outages = logger.getChild("outages")
outages.addFilter(RateLimitFilter())


class Rejection(Exception):  # noqa: N818 -- exceptions are named for what happened.
    """The service rejects the request; the class defines the response."""

    status: HTTPStatus
    message: str
    headers: Mapping[str, str] = MappingProxyType({})


class EmailTaken(Rejection):
    """Another user has this email; the status is 400 because existing clients depend on it."""

    status = HTTPStatus.BAD_REQUEST
    message = "Sorry. That email already exists."


class UserNotFound(Rejection):
    """No user has this id."""

    status = HTTPStatus.NOT_FOUND
    message = "User does not exist"


class PreconditionFailed(Rejection):
    """The user has changed since the client read it."""

    status = HTTPStatus.PRECONDITION_FAILED
    message = "Precondition failed."


class SchemaOutdated(Rejection):
    """The database needs a migration."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    message = "The database schema is not at the newest migration: run `users-api db upgrade`."
    headers = RETRY_AFTER


CONSTRAINTS: Final[Mapping[str, type[Rejection]]] = {"uq_users_email": EmailTaken}
PATH_PARAMETERS: Final[Mapping[str, type[Rejection]]] = {"user_id": UserNotFound}


def register(app: App) -> None:
    """Register the error handlers of the application."""
    handlers: dict[int | type[Exception], Callable[[Any], Response]] = {
        Rejection: lambda error: failure(error.status, error.message, error.headers),
        InvalidPayload: lambda error: failure(400, "Invalid payload.", errors=error.errors),
        InvalidParameter: lambda error: failure(400, "Invalid parameter.", errors=error.errors),
        UnsupportedMediaType: lambda _: failure(415, NOT_JSON, {"Accept-Encoding": "identity"}),
        BodyTooLarge: lambda error: failure(413, too_large("request body", error.limit), error.headers),
        BodyTimeout: lambda error: failure(408, too_late("request body", error.seconds), error.headers),
        PathNotFound: lambda _: failure(404, NO_PATH),
        InvalidPathParameter: path_parameter_invalid,
        OAuthProblem: lambda _: failure(401, "Authentication required."),
        OAuthResponseProblem: lambda _: failure(401, "Invalid token."),
        OAuthScopeProblem: lambda _: failure(403, "Insufficient scope."),
        405: lambda error: failure(405, NO_METHOD, error.headers),
        HTTPException: rejected_by_library,
        ProblemException: rejected_by_library,
        IntegrityError: constraint_violated,
        DBAPIError: database_failed,
        OperationalError: database_failed,
        InterfaceError: database_failed,
        PoolTimeout: database_unavailable,
        TimeoutError: database_unavailable,
        Exception: fault,
    }
    for failed, respond in handlers.items():
        app.add_error_handler(failed, _handler(respond))


def _handler(respond: Callable[[Any], Response]) -> Callable[[ConnexionRequest, Any], Any]:
    async def handle(_request: ConnexionRequest, error: Any) -> Response:
        return respond(error)

    return handle


def path_parameter_invalid(error: InvalidPathParameter) -> Response:
    """Return 404 for the resource that the path names: `/users/blah` is a user that does not exist."""
    rejection = PATH_PARAMETERS.get(error.errors[0].field)
    return failure(rejection.status, rejection.message) if rejection else failure(404, NO_PATH)


def constraint_violated(error: IntegrityError) -> Response:
    """Return the response for the violated constraint, or 500 for one that no client can violate."""
    rejection = CONSTRAINTS.get(violated_constraint(error))
    return failure(rejection.status, rejection.message) if rejection else fault(error)


def database_failed(error: DBAPIError) -> Response:
    """Return 503 when the database is unavailable or needs a migration, otherwise 500."""
    if is_undefined(error):
        reason = str(error.orig).partition("\n")[0]
        outages.error("The database needs a migration, run `users-api db upgrade`: %s", reason)
        return failure(503, UNAVAILABLE, RETRY_AFTER)
    return database_unavailable(error) if is_unavailable(error) else fault(error)


def database_unavailable(error: Exception) -> Response:
    """Return 503, when the database is unavailable, overloaded or too slow."""
    outages.error("Database unavailable: %s", str(error) or "no response in time")
    return failure(503, UNAVAILABLE, RETRY_AFTER)


def rejected_by_library(error: Any) -> Response:
    """Return the status and the words that a handler or a library chose, in the envelope; those of our own fault are fixed."""
    status = HTTPStatus(error.status_code)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("%d %s", status, error.detail, exc_info=error)
        return failure(status, FAULT, error.headers or {})
    return failure(status, error.detail or status.phrase, error.headers or {})


def fault(error: Exception) -> Response:
    """Log the traceback and return 500 with a fixed message."""
    logger.error("Unhandled exception", exc_info=error)
    return failure(500, FAULT)


def too_large(what: str, limit: int) -> str:
    """Return the message for a limit in bytes."""
    return f"The {what} must not be larger than {size(limit)}."


def too_late(what: str, seconds: float) -> str:
    """Return the message for a limit in seconds."""
    return f"The {what} did not arrive within {seconds:g} seconds."


def size(number: int) -> str:
    """Return a number of bytes in the largest unit that divides it."""
    for unit, name in ((1024**2, "MiB"), (1024, "KiB")):
        if number % unit == 0:
            return f"{number // unit} {name}"
    return f"{number} bytes"
