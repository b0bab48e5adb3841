"""The page "middleware" of Connexion's documentation."""

from copy import deepcopy
from typing import Any

from connexion import ConnexionMiddleware
from connexion.middleware import MiddlewarePosition
from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.middleware.security import SecurityMiddleware
from starlette.middleware.cors import CORSMiddleware

from tests.engine.connexion_pages.comparing import TEXT, Build, assert_same_outcomes, get, greet, op, post
from tests.engine.programs import document, path_parameter


class CountedOperation:
    """An operation of the program's own middleware."""

    def __init__(self, app: Any, name: str) -> None:
        """Take the next application and the name to send."""
        self.app, self.name = app, name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Add the name to the response."""

        async def stamped(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"stamp", self.name.encode())]
            await send(message)

        await self.app(scope, receive, stamped)


class CountedAPI(RoutedAPI[CountedOperation]):
    """Creates an operation for each operation of the document."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Read the document."""
        super().__init__(*arguments, **options)
        self.label = options.get("label", "")
        self.add_paths()

    def make_operation(self, operation: Any) -> CountedOperation:
        """Return one for an operation of the document."""
        return CountedOperation(self.next_app, f"{self.label}{operation.method} {operation.path}")


class OperationHeaderMiddleware(RoutedMiddleware[CountedAPI]):
    """A middleware that is routed by operation."""

    api_cls = CountedAPI


def test_middleware() -> None:
    class Upper:
        """WSGI middleware that adds a header."""

        def __init__(self, app: Any, stamp: str) -> None:
            self.app, self.stamp = app, stamp

        def __call__(self, environ: Any, start_response: Any) -> Any:
            def start(status: Any, headers: Any, exc_info: Any = None) -> Any:
                return start_response(status, [*headers, ("Stamp", self.stamp)], exc_info)

            return self.app(environ, start)

    secured = {"components": {"securitySchemes": {"key": {"type": "apiKey", "in": "query", "name": "key"}}}}
    unsecured = [each for each in ConnexionMiddleware.default_middlewares if each is not SecurityMiddleware]

    def build_with(**options: Any) -> Build:
        def build(kind: Any) -> Any:
            app = kind(__name__, **options)
            name = path_parameter("name")
            paths = {
                "/greeting/{name}": {
                    "post": op(greet, name, responses=TEXT, security=[{"key": []}] if options else [])
                }
            }
            app.add_api(document(paths, **deepcopy(secured)), strict_validation=True, label="it is ")
            if options:
                app.add_wsgi_middleware(Upper, stamp="w")
            else:
                app.add_middleware(
                    CORSMiddleware, MiddlewarePosition.BEFORE_EXCEPTION, allow_origins=["http://a.example"]
                )
                app.add_middleware(OperationHeaderMiddleware)
            return app

        return build

    origin = {"headers": {"Origin": "http://a.example"}}
    found, *_ = assert_same_outcomes(
        "middleware",
        build_with(),
        post("/greeting/ada", **origin),
        post("/greeting/ada?x=1", **origin),
        get("/no", **origin),
    )
    assert found["stamp"] == ["it is post /greeting/{name}"]
    assert_same_outcomes("middleware", build_with(middlewares=unsecured), post("/greeting/ada?key=x"))
