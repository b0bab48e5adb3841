"""The envelope of every success, as Flask responses."""

from http import HTTPStatus
from typing import Any

import orjson
from flask import Response


def success(
    *, message: str | None = None, data: Any = None, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None
) -> Response:
    """Return `{"status": "success"}` with the message and the data where they are given."""
    body: dict[str, Any] = {"status": "success"}
    if message is not None:
        body["message"] = message
    if data is not None:
        body["data"] = data
    return Response(orjson.dumps(body), status, headers, mimetype="application/json")


def not_modified(etag: str) -> Response:
    """Return 304, which tells nothing but the entity tag (RFC 9110, 15.4.5)."""
    response = Response(status=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
    del response.headers["Content-Type"]
    return response
