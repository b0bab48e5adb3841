"""Lets pages of other origins use the API: CORS, as the Fetch standard defines it."""

from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from users_api.engine import Response
from users_api.engine.document import Document
from users_api.envelope import failure
from users_api.security_headers import NOT_STORED

ALLOW_ORIGIN: Final = b"access-control-allow-origin"
VARY: Final = (b"vary", b"Origin")
OTHER_REQUEST_HEADERS: Final = frozenset({"Authorization", "Content-Type", "X-Request-ID"})
OTHER_RESPONSE_HEADERS: Final = frozenset(
    {"RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate", "X-Request-ID"}
)


class CrossOrigin:
    """ASGI middleware that responds to preflight requests, and shares responses with the allowed origins.

    Starlette decides what is allowed. Credentials never are, so no browser attaches a cookie or a password:
    a page sends its token in the Authorization header itself.
    """

    def __init__(self, app: ASGIApp, origins: frozenset[str], document: Document) -> None:
        """Wrap the application; the origins are those of the pages, or `*` for all."""
        exposed = sorted(_response_headers(document) | OTHER_RESPONSE_HEADERS)
        self._app = app
        self._policy = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=sorted(_methods(document)),
            allow_headers=sorted(_request_headers(document) | OTHER_REQUEST_HEADERS),
            allow_credentials=False,
            expose_headers=exposed,
        )
        self._exposed = (b"access-control-expose-headers", ", ".join(exposed).encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a preflight request, or call the application and add headers to its response."""
        origin = next((value for name, value in scope["headers"] if name == b"origin"), None)
        if origin is not None and scope["method"] == "OPTIONS":
            headers = Headers(scope=scope)
            if "access-control-request-method" in headers:
                await self._preflight_response(headers).send(scope, send, receive)
                return
        added = self._headers_for(origin)

        async def send_with_headers(message: Message) -> None:
            if "status" in message:
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _headers_for(self, origin: bytes | None) -> list[tuple[bytes, bytes]]:
        """Return the headers that share a response with the origin, or only that it depends on the origin."""
        if origin is None or not self._policy.is_allowed_origin(origin.decode("latin-1")):
            return [VARY]
        return [(ALLOW_ORIGIN, b"*" if self._policy.allow_all_origins else origin), self._exposed, VARY]

    def _preflight_response(self, headers: Headers) -> Response:
        """Return 204, or 400 with what is not allowed; another origin learns nothing else."""
        decision = self._policy.preflight_response(headers)
        is_shared = ALLOW_ORIGIN.decode() in decision.headers
        granted = {
            name: value
            for name, value in decision.headers.items()
            if name == "vary" or (is_shared and name.startswith("access-control-"))
        }
        if decision.status_code == HTTPStatus.OK:
            raw = [(name.encode(), value.encode("latin-1")) for name, value in granted.items()]
            return Response(HTTPStatus.NO_CONTENT, [*raw, *NOT_STORED])
        return failure(HTTPStatus.BAD_REQUEST, f"{bytes(decision.body).decode()}.", granted)


def _methods(document: Document) -> set[str]:
    """Return the methods of all operations, and HEAD, which every GET operation supports."""
    return {"HEAD", *(node.method.upper() for node in document.operations())}


def _request_headers(document: Document) -> set[str]:
    """Return the headers that are parameters of an operation."""
    parameters = (parameter for node in document.operations() for parameter, _ in node.parameters)
    return {parameter["name"] for parameter in parameters if parameter["in"] == "header"}


def _response_headers(document: Document) -> set[str]:
    """Return the headers of all documented responses."""
    responses = (
        document.resolve(response, f"{node.pointer}/responses/{status}")
        for node in document.operations()
        for status, response in node.operation["responses"].items()
    )
    return {name for response, _ in responses for name in response.get("headers", ())}
