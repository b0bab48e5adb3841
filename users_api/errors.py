"""Which failure becomes which answer: the only place that words one."""

import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from sqlite3 import SQLITE_ERROR
from time import monotonic
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson
from connexion import FlaskApp
from connexion.exceptions import ProblemException
from connexion.lifecycle import ConnexionRequest, ConnexionResponse
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException


class Seldom(logging.Filter):
    """Lets one record through a second: a database that is away fails every request alike."""

    _next = 0.0

    def filter(self, _record: logging.LogRecord) -> bool:
        """Return whether the last record is a second old."""
        now = monotonic()
        if now < self._next:
            return False
        self._next = now + 1
        return True


logger = logging.getLogger(__name__)
outages = logger.getChild("outages")
outages.addFilter(Seldom())

RETRY_AFTER: Final = "1"
FAULT: Final = "Something went wrong on our side."
UNAVAILABLE: Final = "The service is unavailable for the moment. Please try again."


class FieldError(NamedTuple):
    """One refused property or parameter; `field` is empty for the payload as a whole."""

    field: str
    message: str


class Failed(Exception):  # noqa: N818 -- exceptions here are named for what happened.
    """An answer other than success, worded by itself."""

    status: HTTPStatus
    message: str
    headers: Mapping[str, str] = MappingProxyType({})
    errors: Sequence[FieldError] = ()


class InvalidPayload(Failed):
    """The body does not conform to the document."""

    status = HTTPStatus.BAD_REQUEST
    message = "Invalid payload."

    def __init__(self, errors: Sequence[FieldError]) -> None:
        """Keep every error found."""
        self.errors = errors


class InvalidParameter(Failed):
    """A query parameter or a header does not conform to the document."""

    status = HTTPStatus.BAD_REQUEST
    message = "Invalid parameter."

    def __init__(self, errors: Sequence[FieldError]) -> None:
        """Keep every error found."""
        self.errors = errors


class EmailTaken(Failed):
    """The address belongs to another user; 400 since the callers that exist depend on it."""

    status = HTTPStatus.BAD_REQUEST
    message = "Sorry. That email already exists."


class UserNotFound(Failed):
    """No user has this id."""

    status = HTTPStatus.NOT_FOUND
    message = "User does not exist"


class PathNotFound(Failed):
    """The document has no such path."""

    status = HTTPStatus.NOT_FOUND
    message = "There is nothing at this path. See /ui/ for what there is."


class MethodNotAllowed(Failed):
    """The document's path has no such method."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    message = "Method not allowed. See the Allow header for what this path has."

    def __init__(self, allow: str) -> None:
        """Name the methods that the path has."""
        self.headers = {"Allow": allow}


class NotHTTP(Failed):
    """The bytes are no request, or one that two readers could understand differently."""

    status = HTTPStatus.BAD_REQUEST
    message = "The request is not valid HTTP/1.1."


class HeadTooLarge(Failed):
    """The request line and the headers are over the limit."""

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE

    def __init__(self, limit: int) -> None:
        """Tell the limit."""
        self.message = f"The request line and the headers must not be larger than {size(limit)} together."


class HeadTimeout(Failed):
    """The request line and the headers did not arrive in time."""

    status = HTTPStatus.REQUEST_TIMEOUT

    def __init__(self, seconds: float) -> None:
        """Tell the time that there was."""
        self.message = f"The request line and the headers did not arrive within {seconds:g} seconds."


class BodyTimeout(Failed):
    """The body did not arrive in time; the connection is of no more use."""

    status = HTTPStatus.REQUEST_TIMEOUT
    headers = MappingProxyType({"Connection": "close"})

    def __init__(self, seconds: float) -> None:
        """Tell the time that there was."""
        self.message = f"The request body did not arrive within {seconds:g} seconds."


class PreconditionFailed(Failed):
    """The user is no longer the version that the caller saw."""

    status = HTTPStatus.PRECONDITION_FAILED
    message = "Precondition failed."


class BodyTooLarge(Failed):
    """The body is over the limit; what is left of it is not read, so the connection ends."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    headers = MappingProxyType({"Connection": "close"})

    def __init__(self, limit: int) -> None:
        """Tell the limit."""
        self.message = f"The request body must not be larger than {size(limit)}."


class UnsupportedMediaType(Failed):
    """The body is no plain JSON in UTF-8 (RFC 9110, 15.5.16)."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    message = "The request body must be application/json in UTF-8, without a content coding."
    headers = MappingProxyType({"Accept-Encoding": "identity"})


class SchemaOutdated(Failed):
    """The database waits for a migration."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    message = "The database schema is not at the newest migration: run `users-api db upgrade`."
    headers = MappingProxyType({"Retry-After": RETRY_AFTER})


CONSTRAINTS: Final = {"uq_users_email": EmailTaken}
UNDEFINED: Final = {"42P01", "42703"}  # PostgreSQL's undefined_table and undefined_column.
UNDEFINED_IN_SQLITE: Final = re.compile("no such (table|column): |table .* has no column named ")


def register(app: FlaskApp) -> None:
    """Tell the application the table of all failures."""
    app.add_error_handler(Failed, failed)
    app.add_error_handler(IntegrityError, constraint_violated)
    app.add_error_handler(DBAPIError, database_failed)
    for unavailable in (OperationalError, InterfaceError, PoolTimeout, TimeoutError):
        app.add_error_handler(unavailable, database_unavailable)
    for refused in (HTTPException, ProblemException):
        app.add_error_handler(refused, refused_by_library)
    app.add_error_handler(Exception, fault)


async def failed(_request: ConnexionRequest, error: Any) -> ConnexionResponse:
    """Answer as the failure words itself."""
    return _answer(error.status, error.message, error.headers, error.errors)


async def constraint_violated(request: ConnexionRequest, error: Any) -> ConnexionResponse:
    """Answer what the violated constraint means; one that no caller can violate is a bug."""
    failure = CONSTRAINTS.get(_constraint(error))
    return await failed(request, failure()) if failure else await fault(request, error)


async def database_failed(request: ConnexionRequest, error: Any) -> ConnexionResponse:
    """Answer 503 if the connection is lost with it, whatever it is called, or the tables are not yet there; else it is a bug."""
    if error.connection_invalidated:
        return await database_unavailable(request, error)
    if not _is_undefined(error.orig):
        return await fault(request, error)
    outages.error("The database waits for a migration, run `users-api db upgrade`: %s", str(error.orig).partition("\n")[0])
    return _unavailable()


async def database_unavailable(request: ConnexionRequest, error: Any) -> ConnexionResponse:
    """Answer 503: the database is away, overloaded or took too long; SQLite calls a wrong statement by the same name."""
    if getattr(getattr(error, "orig", None), "sqlite_errorcode", None) == SQLITE_ERROR:
        return await database_failed(request, error)
    outages.error("Database unavailable: %s", str(error) or "no answer in time")
    return _unavailable()


async def refused_by_library(_request: ConnexionRequest, error: Any) -> ConnexionResponse:
    """Answer with the status that Connexion, Starlette or Werkzeug chose, in our words."""
    status = HTTPStatus(getattr(error, "status_code", None) or error.status)
    return _answer(status, status.phrase, error.headers or {})


async def fault(_request: ConnexionRequest, error: Exception) -> ConnexionResponse:
    """Answer 500 with a fixed text; the traceback goes to the log alone."""
    logger.error("A bug", exc_info=error)
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, FAULT)


def _constraint(error: IntegrityError) -> str:
    """Return the violated constraint's name: psycopg2 tells it, SQLite quotes it in its text."""
    diagnosis = getattr(error.orig, "diag", None)
    return diagnosis.constraint_name or "" if diagnosis else str(error.orig).rpartition("index ")[2].strip("'")


def _is_undefined(error: Any) -> bool:
    """Return whether a table or column is not there; since the models word the statements, a migration has not been run."""
    return getattr(error, "pgcode", None) in UNDEFINED or UNDEFINED_IN_SQLITE.match(str(error)) is not None


def size(number: int) -> str:
    """Return a number of bytes as people say it."""
    for unit, name in ((1024**2, "MiB"), (1024, "KiB")):
        if number % unit == 0:
            return f"{number // unit} {name}"
    return f"{number} bytes"


def envelope(status: HTTPStatus, message: str, errors: Sequence[FieldError] = ()) -> bytes:
    """Return the body of every failure."""
    outcome = "error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "fail"
    body: dict[str, Any] = {"status": outcome, "message": message}
    if errors:
        body["errors"] = [error._asdict() for error in errors]
    return orjson.dumps(body)


def _unavailable() -> ConnexionResponse:
    return _answer(HTTPStatus.SERVICE_UNAVAILABLE, UNAVAILABLE, {"Retry-After": RETRY_AFTER})


def _answer(
    status: HTTPStatus, message: str, headers: Mapping[str, str] = MappingProxyType({}), errors: Sequence[FieldError] = ()
) -> ConnexionResponse:
    body = envelope(status, message, errors)
    return ConnexionResponse(status_code=status, mimetype="application/json", body=body, headers=dict(headers))
