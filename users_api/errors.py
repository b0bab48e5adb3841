"""The service's exceptions, and the response for each exception and database constraint."""

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

import orjson
from connexion.exceptions import OAuthProblem, OAuthResponseProblem, OAuthScopeProblem, ProblemException
from connexion.lifecycle import ConnexionRequest
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from users_api.access.bearer import InsufficientScope, challenge
from users_api.access.issuer import IssuerUnavailable
from users_api.access.revocations import RevocationsUnknown
from users_api.access.tokens import InvalidToken
from users_api.database import (
    is_missing_schema_object,
    is_sequence_exhausted,
    is_unavailable,
    violated_constraint,
)
from users_api.document import TOKEN_OPERATION
from users_api.engine import App, Response
from users_api.engine.failures import (
    FieldError,
    InvalidParameter,
    InvalidPathParameter,
    InvalidPayload,
    PathNotFound,
    UnsupportedMediaType,
)
from users_api.envelope import NOT_STORED, failure

RETRY_AFTER: Final = MappingProxyType({"Retry-After": "1"})
INTERNAL_ERROR_MESSAGE: Final = "Something went wrong on our side."
UNAVAILABLE_MESSAGE: Final = "The service is unavailable for the moment. Please try again."
IDS_EXHAUSTED_MESSAGE: Final = "Nothing can be added: the ids are exhausted."
PATH_NOT_FOUND_MESSAGE: Final = "There is nothing at this path. See /ui/ for what there is."
METHOD_NOT_ALLOWED_MESSAGE: Final = "Method not allowed. See the Allow header for what this path has."
REALM: Final = "users-api"
BASIC_CHALLENGE: Final = (b"www-authenticate", f'Basic realm="{REALM}"'.encode())
LONGEST_NAME: Final = 256
QUOTES: Final = '"\\'


logger = logging.getLogger(__name__)


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


class TokenRefusal(Exception):  # noqa: N818 -- as above.
    """No access token is issued; the response has the form of RFC 6749, 5.2."""

    status = HTTPStatus.BAD_REQUEST
    error = "invalid_request"
    description = ""


class InvalidTokenRequest(TokenRefusal):
    """The request is malformed."""

    def __init__(self, description: str) -> None:
        """Describe what is wrong."""
        self.description = description


class UnsupportedGrantType(TokenRefusal):
    """There are other grant types in RFC 6749."""

    error = "unsupported_grant_type"
    description = "grant_type must be client_credentials."


class InvalidScope(TokenRefusal):
    """The client may have only the scopes with which it was added."""

    error = "invalid_scope"
    description = "The client may not have this scope."


class InvalidClient(TokenRefusal):
    """The client is unknown or revoked, or its secret is wrong: the client does not learn which of them."""

    status = HTTPStatus.UNAUTHORIZED
    error = "invalid_client"
    description = "The client is unknown or revoked, or its secret is wrong."


REJECTIONS_BY_CONSTRAINT: Final[Mapping[str, type[Rejection]]] = {"uq_users_email": EmailTaken}
ID_CONSTRAINTS: Final = {"ck_users_id"}  # Only a new id can violate them, after the largest one.
REJECTIONS_BY_PATH_PARAMETER: Final[Mapping[str, type[Rejection]]] = {"user_id": UserNotFound}


def register(app: App) -> None:
    """Register the error handlers of the application."""
    handlers: dict[int | type[Exception], Callable[[Any], Response]] = {
        Rejection: lambda error: failure(error.status, error.message, error.headers),
        TokenRefusal: token_refused,
        PathNotFound: lambda _: failure(404, PATH_NOT_FOUND_MESSAGE),
        InvalidPathParameter: invalid_path_parameter,
        InvalidToken: invalid_token,
        InsufficientScope: lambda error: failure(403, "Insufficient scope.", _challenge(error)),
        IssuerUnavailable: issuer_unavailable,
        RevocationsUnknown: lambda _: failure(503, UNAVAILABLE_MESSAGE, RETRY_AFTER),
        OAuthProblem: lambda _: failure(401, "Authentication required.", _challenge(None)),
        OAuthResponseProblem: lambda _: failure(401, "Invalid token.", _challenge(None)),
        OAuthScopeProblem: lambda _: failure(403, "Insufficient scope.", _challenge(None)),
        405: lambda error: failure(405, METHOD_NOT_ALLOWED_MESSAGE, error.headers),
        HTTPException: rejected_by_library,
        ProblemException: rejected_by_library,
        IntegrityError: constraint_violated,
        DBAPIError: database_failed,
        OperationalError: database_failed,
        InterfaceError: database_failed,
        PoolTimeout: database_unavailable,
        TimeoutError: database_unavailable,
        Exception: internal_error,
    }
    for failed, respond in handlers.items():
        app.add_error_handler(failed, _handler(respond))
    app.add_error_handler(InvalidParameter, invalid_parameter)
    app.add_error_handler(InvalidPayload, invalid_payload)
    app.add_error_handler(UnsupportedMediaType, unsupported_media_type)


def _handler(respond: Callable[[Any], Response]) -> Callable[[ConnexionRequest, Any], Any]:
    async def handle(_request: ConnexionRequest, error: Any) -> Response:
        return respond(error)

    return handle


async def invalid_parameter(request: ConnexionRequest, error: InvalidParameter) -> Response:
    """Return 400 with all errors; a token request has one error in the form of RFC 6749."""
    if _is_token_request(request):
        return token_refused(InvalidTokenRequest(_in_one_sentence(error.errors[0], whole="")))
    return failure(400, "Invalid parameter.", errors=error.errors)


async def invalid_payload(request: ConnexionRequest, error: InvalidPayload) -> Response:
    """Return 400 with all errors; a token request has one error in the form of RFC 6749."""
    if _is_token_request(request):
        return token_refused(InvalidTokenRequest(_in_one_sentence(error.errors[0], whole="The payload")))
    return failure(400, "Invalid payload.", errors=error.errors)


def _is_token_request(request: ConnexionRequest) -> bool:
    operation_id: str = request.scope["operation"].definition["operationId"]
    return operation_id == TOKEN_OPERATION


async def unsupported_media_type(request: ConnexionRequest, _error: UnsupportedMediaType) -> Response:
    """Return 415 with the media types of the operation."""
    media_types = " or ".join(request.scope["operation"].bodies.media_types)
    message = f"The request body must be {media_types} in UTF-8, without a content coding."
    return failure(415, message, {"Accept-Encoding": "identity"})


def token_refused(error: TokenRefusal) -> Response:
    """Return the error response of RFC 6749, 5.2."""
    challenge = [BASIC_CHALLENGE] if error.status == HTTPStatus.UNAUTHORIZED else []
    body = orjson.dumps({"error": error.error, "error_description": error.description})
    return Response(error.status, [*NOT_STORED, (b"pragma", b"no-cache"), *challenge], body)


def _in_one_sentence(error: FieldError, *, whole: str) -> str:
    """Return the error as text that RFC 6749 allows: printable ASCII without quotes and backslashes.

    `whole` is the subject of an error without a field.
    """
    text = f"{error.field[:LONGEST_NAME] or whole} {error.message}.".lstrip()
    return "".join(each if " " <= each <= "~" and each not in QUOTES else "?" for each in text)


def invalid_token(error: InvalidToken) -> Response:
    """Return 401 without the reason, which only the log has."""
    logger.warning("Rejected an access token: %s", error)
    return failure(401, "Invalid token.", _challenge(error))


def issuer_unavailable(error: IssuerUnavailable) -> Response:
    """Return 503: without any keys of the issuer no token can be verified."""
    logger.error("No keys of AUTH_ISSUER: %s", error)
    return failure(503, UNAVAILABLE_MESSAGE, RETRY_AFTER)


def revocations_unavailable(error: Exception) -> None:
    """Log that the revoked clients cannot be read; those read last stay revoked."""
    reason = " ".join(str(getattr(error, "orig", error)).split())
    logger.error("Cannot read the revoked clients: %s", reason or "no response in time")


def _challenge(error: Exception | None) -> dict[str, str]:
    return {"WWW-Authenticate": challenge(REALM, error)}


def invalid_path_parameter(error: InvalidPathParameter) -> Response:
    """Return 404 for the resource that the path names: `/users/blah` is a user that does not exist."""
    rejection = REJECTIONS_BY_PATH_PARAMETER.get(error.errors[0].field)
    return failure(rejection.status, rejection.message) if rejection else failure(404, PATH_NOT_FOUND_MESSAGE)


def constraint_violated(error: IntegrityError) -> Response:
    """Return the response for the violated constraint, or 500 for one that no client can violate."""
    constraint = violated_constraint(error)
    if constraint in ID_CONSTRAINTS:
        return ids_exhausted(error)
    rejection = REJECTIONS_BY_CONSTRAINT.get(constraint)
    return failure(rejection.status, rejection.message) if rejection else internal_error(error)


def ids_exhausted(error: DBAPIError) -> Response:
    """Return 503: reading and changing still work, and only an operator can make room for more ids."""
    logger.error("Ids exhausted: %s", str(error.orig).partition("\n")[0])
    return failure(503, IDS_EXHAUSTED_MESSAGE, RETRY_AFTER)


def database_failed(error: DBAPIError) -> Response:
    """Return 503 when the database is unavailable, full or needs a migration, otherwise 500."""
    if is_sequence_exhausted(error):
        return ids_exhausted(error)
    if is_missing_schema_object(error):
        reason = str(error.orig).partition("\n")[0]
        logger.error("The database needs a migration, run `users-api db upgrade`: %s", reason)
        return failure(503, UNAVAILABLE_MESSAGE, RETRY_AFTER)
    return database_unavailable(error) if is_unavailable(error) else internal_error(error)


def database_unavailable(error: Exception) -> Response:
    """Return 503, when the database is unavailable, overloaded or too slow."""
    reason = " ".join(str(getattr(error, "orig", error)).split())
    logger.error("Database unavailable: %s", reason or "no response in time")
    return failure(503, UNAVAILABLE_MESSAGE, RETRY_AFTER)


def rejected_by_library(error: Any) -> Response:
    """Return the status and message of a handler or a library in the envelope; 5xx messages are fixed."""
    status = HTTPStatus(error.status_code)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("%d %s", status, error.detail, exc_info=error)
        return failure(status, INTERNAL_ERROR_MESSAGE, error.headers or {})
    return failure(status, error.detail or status.phrase, error.headers or {})


def internal_error(error: Exception) -> Response:
    """Log the traceback and return 500 with a fixed message."""
    logger.error("Unhandled exception", exc_info=error)
    return failure(500, INTERNAL_ERROR_MESSAGE)
