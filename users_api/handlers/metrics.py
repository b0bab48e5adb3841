"""The operations tagged `metrics`."""

from typing import Final

from flask import current_app

from users_api.engine import Response
from users_api.security_headers import NOT_STORED
from users_api.server.metrics import MEDIA_TYPE

HEADERS: Final = [(b"content-type", f"{MEDIA_TYPE}; charset=utf-8".encode()), *NOT_STORED]


async def read_metrics() -> Response:
    """Return the counters of all workers; needs no database, hence no greenlet."""
    return Response(200, HEADERS, current_app.extensions["metrics"].text().encode())
