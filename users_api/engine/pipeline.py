"""The way of a request: page or route, security, body, parameters, call, response, and the one `try` around it.

A program's own ASGI middleware may stand at any of Connexion's positions. Only then is the way cut into stages.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from connexion.middleware.abstract import ROUTING_CONTEXT, SpecMiddleware
from connexion.middleware.context import ContextMiddleware
from connexion.middleware.exceptions import ExceptionMiddleware
from connexion.middleware.lifespan import LifespanMiddleware
from connexion.middleware.request_validation import RequestValidationMiddleware
from connexion.middleware.response_validation import ResponseValidationMiddleware
from connexion.middleware.routing import RoutingMiddleware
from connexion.middleware.security import SecurityMiddleware
from connexion.middleware.server_error import ServerErrorMiddleware
from connexion.middleware.swagger_ui import SwaggerUIMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from users_api.engine.failures import PathNotFound
from users_api.engine.flask_routes import FlaskRoutes
from users_api.engine.operation import Operation
from users_api.engine.pages import path_below_root
from users_api.engine.reading import ClientDisconnected, replay
from users_api.engine.responses import Response
from users_api.engine.routing import Routes
from users_api.engine.running import Runners

if TYPE_CHECKING:
    from users_api.engine.app import App

INNER: Final = (  # Connexion's middlewares within its exception middleware: the places at which the way can be cut.
    SwaggerUIMiddleware,
    RoutingMiddleware,
    SecurityMiddleware,
    RequestValidationMiddleware,
    ResponseValidationMiddleware,
    LifespanMiddleware,
    ContextMiddleware,
)


class Pipeline:
    """All operations of an application, and the way of a request to them."""

    def __init__(self, app: "App") -> None:
        """Compile every operation of every API.

        Raises:
            DocumentError: a document asks for something that cannot be enforced.
        """
        self._app = app
        self._reader, self._errors, self._pages = app.reader, app.error_handlers, app.pages
        self._routes = Routes()
        self._operations: list[Operation] = []
        self._flask = FlaskRoutes(app.app, app.wsgi_middlewares)
        wsgi = self._flask.wsgi if self._flask.sees_every_request else None
        runners = Runners(app.app, run_plain=app.run_plain, threads=app.threads, wsgi=wsgi, raise_problems=app.raise_problems)
        is_secured = any(getattr(each, "func", each) is SecurityMiddleware for each in app.middlewares)
        for api in app.apis:
            app.pages.add_api(api.document, api.options.swagger_ui_options)
            for node in api.document.operations():
                operation = Operation(node, api, len(self._operations), runners, is_secured=is_secured)
                self._routes.add(operation)
                self._operations.append(operation)
            self._flask.add_api(api, [operation for operation in self._operations if operation.api is api])
        for api in app.apis:
            api.schemas.finish()
        self._guarded = [
            (api.base_path, security)
            for api in app.apis
            if is_secured and api.options.auth_all_paths and (security := api.compile_security())
        ]
        self._has_flask_routes = self._flask.has_own_rules()

    def stack(self) -> ASGIApp:
        """Return the way with the program's middleware around it, or within it."""
        stages: dict[Any, Callable[[ASGIApp], ASGIApp]] = {
            ServerErrorMiddleware: partial(partial, self._catch),
            ExceptionMiddleware: partial(partial, self._catch),
            SwaggerUIMiddleware: partial(partial, self._page),
            RoutingMiddleware: partial(partial, self._route),
            SecurityMiddleware: partial(partial, self._secure),
            RequestValidationMiddleware: partial(partial, self._validate),
        }
        outer, inner = self._split(self._app.middlewares)
        if inner == list(INNER):
            app: ASGIApp = self._serve
        else:
            app = self._call
            for middleware in reversed(inner):
                if middleware in stages:
                    app = stages[middleware](app)
                elif middleware not in INNER:
                    app = self._wrapped(middleware, app)
            app = partial(self._catch, app)
        for middleware in reversed(outer):
            app = app if middleware in stages else self._wrapped(middleware, app)
        return app

    def _wrapped(self, middleware: Callable[[ASGIApp], ASGIApp], app: ASGIApp) -> ASGIApp:
        """Return a middleware of the program's around the application; it may know the documents."""
        wrapped = middleware(app)
        if isinstance(wrapped, SpecMiddleware):
            for api in self._app.apis:
                api.add_to(wrapped)
        return wrapped

    @staticmethod
    def _split(middlewares: list[Any]) -> tuple[list[Any], list[Any]]:
        """Return the middlewares around Connexion's exception middleware, and those within it."""
        names = [getattr(middleware, "func", middleware) for middleware in middlewares]
        within = names.index(ExceptionMiddleware) if ExceptionMiddleware in names else -1
        inner = [name if name in INNER else each for name, each in zip(names, middlewares, strict=True)]
        return inner[: max(within, 0)], inner[within + 1 :]

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request without middleware on the way."""
        try:
            if self._pages.serves(path_below_root(scope)):
                await self._pages(scope, receive, send)
                return
            try:
                operation, texts = self._routes.find(scope)
            except PathNotFound:
                response = await self._find_elsewhere(scope) or await self._respond_by_flask(scope, receive)
            else:
                scope["operation"] = operation
                if operation.security:
                    await operation.security.check(scope)
                body = await self._reader.read(scope, receive)
                if operation.validators and operation.validators.of_requests:
                    body = await operation.validators.check_request(scope, body)
                arguments = operation.arguments(scope, texts, body)
                response = await operation.call(scope, receive, body, arguments)
        except ClientDisconnected:
            return
        except Exception as error:  # noqa: BLE001 -- every failure has a response.
            response = await self._errors.respond(scope, receive, error)
        await response.send(scope, send, receive)

    async def _respond_by_flask(self, scope: Scope, receive: Receive) -> Response:
        body = await self._reader.read(scope, receive)
        return await self._flask.respond(scope, body, self._app.run_plain)

    async def _find_elsewhere(self, scope: Scope) -> Response | None:
        """Return a redirect where only the last slash is wrong, and None where a route of Flask's matches.

        Raises:
            PathNotFound: none does, and the client may know that: `auth_all_paths` asks for credentials first.
        """
        for base_path, security in self._guarded:
            if scope["path"].startswith(base_path):
                await security.check(scope)
        if redirect := self._routes.redirect(scope):
            return redirect
        if not (self._has_flask_routes and self._flask.has(scope)):
            raise PathNotFound
        return None

    async def _catch(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Turn the failure of a stage into a response, unless one has begun."""
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await app(scope, receive, noting)
        except ClientDisconnected:
            return
        except Exception as error:
            if started:
                raise
            response = await self._errors.respond(scope, receive, error)
            await response.send(scope, send, receive)

    async def _page(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._pages if self._pages.serves(path_below_root(scope)) else app)(scope, receive, send)

    async def _route(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            operation, scope["path_texts"] = self._routes.find(scope)
        except PathNotFound:
            if redirect := await self._find_elsewhere(scope):
                await redirect.send(scope, send, receive)
                return
        else:
            scope["operation"] = operation
            routing = {"api_base_path": operation.api.base_path, "operation_id": operation.operation_id}
            scope.setdefault("extensions", {})[ROUTING_CONTEXT] = routing
        await app(scope, receive, send)

    async def _secure(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        operation: Operation | None = scope.get("operation")
        if operation and operation.security:
            await operation.security.check(scope)
        await app(scope, receive, send)

    async def _validate(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        body = await self._reader.read(scope, receive)
        if operation := scope.get("operation"):
            if operation.validators and operation.validators.of_requests:
                body = await operation.validators.check_request(scope, body)
            scope["arguments"] = operation.arguments(scope, scope["path_texts"], body)
        await app(scope, replay(body, receive), send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the handler; what the middleware before this has left is read again."""
        operation: Operation | None = scope.get("operation")
        body = await self._reader.read(scope, receive)
        if operation is None:
            response = await self._flask.respond(scope, body, self._app.run_plain)
        else:
            arguments = scope["arguments"] if "arguments" in scope else operation.arguments(scope, scope["path_texts"], body)
            response = await operation.call(scope, receive, body, arguments)
        await response.send(scope, send, receive)
