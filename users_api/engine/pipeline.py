"""The path of a request: page or route, security, body, parameters, call, response; one `try`.

A program may add ASGI middleware at any of Connexion's positions; only then is the path split into stages.
"""

from collections.abc import Callable, Iterable
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

from users_api.engine.body_reader import ClientDisconnected, replay_body
from users_api.engine.failures import PathNotFound
from users_api.engine.flask_routes import FlaskRoutes
from users_api.engine.operation import Operation
from users_api.engine.pages import path_below_root
from users_api.engine.response_checks import ResponseChecks
from users_api.engine.responses import Response
from users_api.engine.routing import Routes
from users_api.engine.runners import RunnerFactory

if TYPE_CHECKING:
    from users_api.engine.app import App

INNER_POSITIONS: Final = (  # Middlewares inside the exception middleware: where the pipeline can be cut.
    SwaggerUIMiddleware,
    RoutingMiddleware,
    SecurityMiddleware,
    RequestValidationMiddleware,
    ResponseValidationMiddleware,
    LifespanMiddleware,
    ContextMiddleware,
)


class Pipeline:
    """All operations of an application, and the path of a request to them."""

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
        runners = RunnerFactory(
            app.app,
            run_plain=app.run_plain,
            threads=app.threads,
            wsgi=wsgi,
            raise_problems=app.raise_problems,
            on_blocking=app.on_blocking,
        )
        is_secured = any(getattr(each, "func", each) is SecurityMiddleware for each in app.middlewares)
        for api in app.apis:
            app.pages.add_api(api.document, api.options.swagger_ui_options)
            for node in api.document.operations():
                operation = Operation(
                    node,
                    api,
                    len(self._operations),
                    runners,
                    is_secured=is_secured,
                    context_by_name=app.context_by_name,
                    checks_responses=app.check_responses > 0,
                )
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
        self._answers_unknown_paths = self._flask.answers_unknown_paths()

    def stack(self) -> ASGIApp:
        """Return the ASGI application with the program's middleware around or inside it."""
        stages: dict[Any, Callable[[ASGIApp], ASGIApp]] = {
            ServerErrorMiddleware: partial(partial, self._handle_errors),
            ExceptionMiddleware: partial(partial, self._handle_errors),
            SwaggerUIMiddleware: partial(partial, self._page),
            RoutingMiddleware: partial(partial, self._route),
            SecurityMiddleware: partial(partial, self._secure),
            RequestValidationMiddleware: partial(partial, self._validate),
        }
        outer, inner = self._split(self._app.middlewares)
        if inner == list(INNER_POSITIONS):
            app: ASGIApp = self._serve
        else:
            app = self._call
            for middleware in reversed(inner):
                if middleware in stages:
                    app = stages[middleware](app)
                elif middleware not in INNER_POSITIONS:
                    app = self._wrapped(middleware, app)
            app = partial(self._handle_errors, app)
        for middleware in reversed(outer):
            app = app if middleware in stages else self._wrapped(middleware, app)
        return self._checked(app)

    def _checked(self, app: ASGIApp) -> ASGIApp:
        """Check a share of the responses, if the program asks for it."""
        if not self._app.check_responses:
            return app
        return ResponseChecks(
            app,
            rate=self._app.check_responses,
            find_operations=self._find_operations,
            on_violation=self._app.on_violation,
        )

    def _find_operations(self, scope: Scope, status: int) -> Iterable[Operation]:
        """Return the operations that document a response of this status; middleware may have sent it."""
        if "operation" in scope:
            return [scope["operation"]]
        is_page = self._pages.serves(path_below_root(scope))
        return [] if is_page else self._routes.find_documented(scope, status)

    def _wrapped(self, middleware: Callable[[ASGIApp], ASGIApp], app: ASGIApp) -> ASGIApp:
        """Wrap the application in a program's middleware; if it has `add_api`, pass it the documents."""
        wrapped = middleware(app)
        if isinstance(wrapped, SpecMiddleware):
            for api in self._app.apis:
                api.register_with(wrapped)
        return wrapped

    @staticmethod
    def _split(middlewares: list[Any]) -> tuple[list[Any], list[Any]]:
        """Return the middlewares outside Connexion's exception middleware, and those inside it."""
        names = [getattr(middleware, "func", middleware) for middleware in middlewares]
        within = names.index(ExceptionMiddleware) if ExceptionMiddleware in names else -1
        inner = [
            name if name in INNER_POSITIONS else each for name, each in zip(names, middlewares, strict=True)
        ]
        return inner[: max(within, 0)], inner[within + 1 :]

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request without middleware between the stages."""
        try:
            if self._pages.serves(path_below_root(scope)):
                await self._pages(scope, receive, send)
                return
            try:
                operation, texts = self._routes.find(scope)
            except PathNotFound:
                response = await self._redirect_or_flask(scope) or await self._respond_by_flask(
                    scope, receive
                )
            else:
                scope["operation"] = operation
                headers = dict(scope["headers"])
                if operation.security and (pending := operation.security.check(scope, headers)):
                    await pending
                body = b"" if self._reader.is_bodiless(headers) else await self._reader.read(headers, receive)
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
        body = await self._reader.read(dict(scope["headers"]), receive)
        return await self._flask.respond(scope, body, self._app.run_plain)

    async def _redirect_or_flask(self, scope: Scope) -> Response | None:
        """Return a redirect if only the trailing slash is wrong, or None if a Flask route matches.

        Raises:
            PathNotFound: nothing matches; with `auth_all_paths` the credentials are checked first.
        """
        for base_path, security in self._guarded:
            if scope["path"].startswith(base_path):
                await security.check_and_wait(scope)
        if redirect := self._routes.redirect(scope):
            return redirect
        if not (self._answers_unknown_paths or (self._has_flask_routes and self._flask.has(scope))):
            raise PathNotFound
        return None

    async def _handle_errors(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Turn the failure of a stage into a response, unless one has already started."""
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
            if redirect := await self._redirect_or_flask(scope):
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
            await operation.security.check_and_wait(scope)
        await app(scope, receive, send)

    async def _validate(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        body = await self._reader.read(dict(scope["headers"]), receive)
        if operation := scope.get("operation"):
            if operation.validators and operation.validators.of_requests:
                body = await operation.validators.check_request(scope, body)
            scope["arguments"] = operation.arguments(scope, scope["path_texts"], body)
        await app(scope, replay_body(body, receive), send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the handler with the body as the preceding middleware passes it on."""
        operation: Operation | None = scope.get("operation")
        body = await self._reader.read(dict(scope["headers"]), receive)
        if operation is None:
            response = await self._flask.respond(scope, body, self._app.run_plain)
        else:
            arguments = (
                scope["arguments"]
                if "arguments" in scope
                else operation.arguments(scope, scope["path_texts"], body)
            )
            response = await operation.call(scope, receive, body, arguments)
        await response.send(scope, send, receive)
