"""The JSON envelope of every response: `status`, with optional `message`, `data` and `errors`.

The headers let a cache store only a response with an entity tag, and only if it validates each use.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

import orjson

from users_api import security_headers
from users_api.engine.failures import FieldError
from users_api.engine.responses import Response

JSON_CONTENT_TYPE: Final = (b"content-type", b"application/json")
NOT_STORED: Final = [JSON_CONTENT_TYPE, *security_headers.NOT_STORED]
VALIDATED: Final = [JSON_CONTENT_TYPE, *security_headers.VALIDATED]
NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


def success(
    *,
    message: str | None = None,
    data: Any = None,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] = NO_HEADERS,
) -> Response:
    """Return a response with `"status": "success"`, and with the message and data unless they are None."""
    envelope: dict[str, Any] = {"status": "success"}
    if message is not None:
        envelope["message"] = message
    if data is not None:
        envelope["data"] = data
    body = orjson.dumps(envelope, option=orjson.OPT_UTC_Z)
    if not headers:
        return Response(status, NOT_STORED, body)
    return Response(status, _encode_headers(headers) + (VALIDATED if "ETag" in headers else NOT_STORED), body)


def not_modified(headers: Mapping[str, str]) -> Response:
    """Return 304, which has no body (RFC 9110, 15.4.5)."""
    return Response(HTTPStatus.NOT_MODIFIED, _encode_headers(headers) + VALIDATED)


def failure(
    status: int, message: str, headers: Mapping[str, str] = NO_HEADERS, errors: Sequence[FieldError] = ()
) -> Response:
    """Return a response whose envelope's status is `fail` for a 4xx status and `error` for a 5xx status."""
    body = failure_body(status, message, errors)
    length = b"content-length", b"%d" % len(body)
    return Response(status, [*_encode_headers(headers), length, *NOT_STORED], body)


def failure_body(status: int, message: str, errors: Sequence[FieldError] = ()) -> bytes:
    """Return the JSON body of a failure response."""
    outcome = "error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "fail"
    body: dict[str, Any] = {"status": outcome, "message": message}
    if errors:
        body["errors"] = [error._asdict() for error in errors]
    return orjson.dumps(body)


def _encode_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
