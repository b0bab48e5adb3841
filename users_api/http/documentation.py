"""The pages beside the API: the document as JSON and YAML, Swagger UI 5 (Connexion bundles 4.15) from own files, the metrics."""

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import orjson
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from users_api.errors import MethodNotAllowed
from users_api.http.document import document_path
from users_api.http.metrics import MEDIA_TYPE, Metrics

PAGE: Final = "/ui/"
ALLOW: Final = "GET, HEAD"
OWN_FILES: Final = Path(__file__).with_name("ui")
POLICY: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Documentation:
    """Answers the documentation's own paths and passes on all others; it costs those one look at a set."""

    def __init__(self, app: ASGIApp, document: Mapping[str, Any], metrics: Metrics) -> None:
        """Render the document once."""
        self.app = app
        as_json, as_yaml = orjson.dumps(document), document_path().read_bytes()

        def openapi_json(_request: Request) -> Response:
            return Response(as_json, media_type="application/json")

        def openapi_yaml(_request: Request) -> Response:
            return Response(as_yaml, media_type="application/yaml")

        def counters(_request: Request) -> Response:
            return Response(metrics.text(), media_type=MEDIA_TYPE)

        def root(_request: Request) -> Response:
            return RedirectResponse(PAGE)

        pages = StaticFiles(directory=OWN_FILES, packages=[("flask_swagger_ui", "dist")], html=True)
        self._router = Router(
            [
                Route("/", root),
                Route(PAGE.rstrip("/"), root),
                Route("/openapi.json", openapi_json),
                Route("/openapi.yaml", openapi_yaml),
                Route("/metrics", counters),
                Mount(PAGE.rstrip("/"), pages),
            ]
        )
        files = (PAGE + file.name for folder in pages.all_directories for file in Path(folder).iterdir())
        self._paths = frozenset({"/", PAGE.rstrip("/"), PAGE, "/openapi.json", "/openapi.yaml", "/metrics", *files})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on; a page is sent whole, since Starlette's answers to odd ranges are not in the envelope.

        Raises:
            HTTPException: there is no such page.
            MethodNotAllowed: pages can only be read.
        """
        if scope["type"] != "http" or not (scope["path"] in self._paths or scope["path"].startswith(PAGE)):
            await self.app(scope, receive, send)
            return
        if scope["path"] not in self._paths:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        if scope["method"] not in {"GET", "HEAD"}:
            raise MethodNotAllowed(ALLOW)
        headers = [header for header in scope["headers"] if header[0] != b"range"]
        await self._router({**scope, "headers": headers}, receive, _with_policy(send))


def _with_policy(send: Send) -> Send:
    """Return a channel that adds the security headers, and takes back the offer of ranges."""

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(POLICY)
            del headers["Accept-Ranges"]
        await send(message)

    return guarded
