"""The operations tagged `metrics`."""

from typing import Final

from flask import current_app

from users_api.engine import Response
from users_api.observability.exposition import MEDIA_TYPE
from users_api.security_headers import NOT_STORED

HEADERS: Final = [(b"content-type", MEDIA_TYPE.encode()), *NOT_STORED]


async def read_metrics() -> Response:
    """Return the metrics of all workers; needs no database, hence no greenlet."""
    return Response(200, HEADERS, current_app.extensions["metrics"].text())
