"""The envelope of every success."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson


class Answer(NamedTuple):
    """What goes to the caller as it is: a werkzeug response would cost more to make and to read than a ping does."""

    status: HTTPStatus
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""


def success(
    *,
    message: str | None = None,
    data: Any = None,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Answer:
    """Return `{"status": "success"}` with the message and the data where they are given."""
    envelope: dict[str, Any] = {"status": "success"}
    if message is not None:
        envelope["message"] = message
    if data is not None:
        envelope["data"] = data
    body = orjson.dumps(envelope, option=orjson.OPT_UTC_Z)
    media = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    return Answer(status, _raw(headers) + media, body)


def not_modified(etag: str) -> Answer:
    """Return 304, which tells nothing but the entity tag (RFC 9110, 15.4.5)."""
    return Answer(HTTPStatus.NOT_MODIFIED, _raw({"ETag": etag}))


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
