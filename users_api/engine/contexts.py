"""Flask's contexts around a handler: an application context, and a request context if it is used.

These names of Flask's are private, and nothing else in this package may use them: `flask.globals._cv_app` and
`_cv_request`, which bind the contexts, `AppContext._cv_tokens` and `RequestContext._session`.
"""

import io
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from contextvars import Token
from functools import cached_property
from typing import Any, Final, Self, cast

from a2wsgi.wsgi import build_environ
from connexion.frameworks.flask import FlaskJSONProvider, IntegerConverter, NumberConverter
from flask import Flask
from flask.ctx import AppContext, RequestContext
from flask.globals import _cv_app, _cv_request
from flask.signals import appcontext_popped, appcontext_pushed, appcontext_tearing_down
from starlette.types import Scope

from users_api.engine.responses import DelegatedResponse, RawHeaders, Response, from_werkzeug

HOOKS: Final = (
    "before_request_funcs",
    "after_request_funcs",
    "teardown_request_funcs",
    "url_value_preprocessors",
)

BODY_HEADERS: Final = frozenset({b"content-length", b"content-type"})


class LeanAppContext(AppContext):
    """An application context that omits signals without receivers and a rarely used URL adapter."""

    def __init__(self, app: Flask) -> None:
        """Begin unbound."""
        self.app = app
        self._cv_tokens = []

    @cached_property
    def g(self) -> Any:  # type: ignore[override]  # Flask creates it immediately.
        """What the handler and the functions that it calls keep for this request."""
        return self.app.app_ctx_globals_class()

    @cached_property
    def url_adapter(self) -> Any:  # type: ignore[override]  # Flask makes it at once.
        """What `url_for` uses outside of requests."""
        return self.app.create_url_adapter(None)

    def __enter__(self) -> Self:
        """Bind the context to the current task, thread or greenlet."""
        if appcontext_pushed.receivers:
            super().push()
        else:
            self._cv_tokens.append(_cv_app.set(self))
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        """Run the functions that `teardown_appcontext` has registered, and unbind the context."""
        if appcontext_popped.receivers or len(self._cv_tokens) > 1:
            super().pop(error)
            return
        try:
            self.app.do_teardown_appcontext(error)
        finally:
            _cv_app.reset(self._cv_tokens.pop())


class EngineFlask(Flask):
    """A Flask application whose requests to the document's paths are already routed."""

    def __init__(self, import_name: str, **options: Any) -> None:
        """Accept Flask's arguments."""
        self._synchronous: dict[Callable[..., Any], Callable[..., Any]] = {}
        super().__init__(import_name, **options)

    def app_context(self) -> AppContext:
        """Return a new application context."""
        return LeanAppContext(self)

    def do_teardown_appcontext(self, exc: BaseException | None = None) -> None:
        """Run the registered functions, the last one first; Flask wraps coroutine functions each time."""
        if appcontext_tearing_down.receivers:
            super().do_teardown_appcontext(exc)
            return
        for function in reversed(self.teardown_appcontext_funcs):
            if function not in self._synchronous:
                self._synchronous[function] = self.ensure_sync(function)
            self._synchronous[function](exc)

    def request_context(self, environ: Any) -> RequestContext:
        """Return the context of a request."""
        return RoutedRequestContext(self, environ)


class RoutedRequestContext(RequestContext):
    """A request context whose route the engine has already found."""

    def match_request(self) -> None:
        """Use the engine's route, or find one of the program's own routes."""
        scope = self.request.environ["asgi.scope"]
        if operation := scope.get("operation"):
            self.request.url_rule = operation.rule
            self.request.view_args = dict(scope.get("path_params", {}))
        else:
            super().match_request()

    def open(self) -> None:
        """Do what `push` does, without making the context current."""
        interface = self.app.session_interface
        session = interface.open_session(self.app, self.request)
        self._session = interface.make_null_session(self.app) if session is None else session
        self.match_request()


class LazyRequestContext:
    """A request context that is created when a handler first uses `flask.request`, `session` or `url_for`."""

    __slots__ = ("_app", "_body", "_scope", "_tokens", "made")

    def __init__(self, app: Flask, scope: Scope, body: bytes) -> None:
        """Store what is needed to create the request."""
        self._app, self._scope, self._body = app, scope, body
        self._tokens: tuple[Token[Any], ...] = ()
        self.made: RoutedRequestContext | None = None

    def __enter__(self) -> Self:
        """Become the current context again: Flask's `stream_with_context` does this around each stream."""
        self._tokens += (_cv_request.set(cast("RequestContext", self)),)
        return self

    def __exit__(self, *_error: object) -> None:
        """Restore the previous context."""
        _cv_request.reset(self._tokens[-1])
        self._tokens = self._tokens[:-1]

    def __getattr__(self, name: str) -> Any:
        """Return the attribute of the real context."""
        if self.made is None:
            self.made = RoutedRequestContext(self._app, build_wsgi_environ(self._scope, self._body))
            self.made.open()
        return getattr(self.made, name)


def call_in_context(
    app: Flask,
    scope: Scope,
    body: bytes,
    call: Callable[[dict[str, Any]], Response],
    arguments: dict[str, Any],
) -> Response:
    """Call the function with the arguments, in an application context in which Flask's proxies work."""
    with app.app_context():
        context: Any = LazyRequestContext(app, scope, body)  # It stands in for a RequestContext.
        _cv_request.set(context)
        response = call(arguments)
        return response if context.made is None else _apply_request_callbacks(app, response)


async def await_in_context(
    app: Flask,
    scope: Scope,
    body: bytes,
    call: Callable[[dict[str, Any]], Awaitable[Response]],
    arguments: dict[str, Any],
) -> Response:
    """Do the same for a coroutine function, whose context is that of its task."""
    with app.app_context():
        context: Any = LazyRequestContext(app, scope, body)  # It stands in for a RequestContext.
        _cv_request.set(context)
        response = await call(arguments)
        return response if context.made is None else _apply_request_callbacks(app, response)


def _apply_request_callbacks(app: Flask, response: Response) -> Response:
    """Save the session and run `after_this_request`, needed only if the handler used the request."""
    if can_pass_through_wsgi(response):
        return from_werkzeug(app.process_response(to_werkzeug(app, response)))
    return with_headers(response, from_werkzeug(app.process_response(headers_only_response(app, response))))


def build_wsgi_environ(scope: Scope, body: bytes) -> dict[str, Any]:
    """Return the WSGI environment of a request, built by a2wsgi, as in Connexion."""
    build: Any = build_environ  # Its annotations name a2wsgi's own classes.
    environ: dict[str, Any] = build(scope, io.BytesIO(body))
    return environ


def to_werkzeug(app: Flask, response: Response) -> Any:
    """Return the response as a Flask response, whose cookies and headers hooks may change."""
    body: Any = response.body
    flask_response = app.response_class(body, status=response.status, headers=_texts(response.headers))
    if response.close is not None:
        flask_response.call_on_close(response.close)
    return flask_response


def _texts(headers: RawHeaders) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def can_pass_through_wsgi(response: Response) -> bool:
    """Return whether WSGI can carry the body: no asynchronous stream, and not sent by Starlette."""
    return not isinstance(response, DelegatedResponse) and not isinstance(response.body, AsyncIterable)


def headers_only_response(app: Flask, response: Response) -> Any:
    """Return a Flask response that stands for one whose body cannot pass through Flask."""
    return app.response_class(b"", status=response.status, headers=_texts(response.headers))


def with_headers(response: Response, processed: Response) -> Response:
    """Replace the response's headers with those that Flask has processed, except the headers of the body."""
    of_body = [header for header in response.headers if header[0] in BODY_HEADERS]
    response.headers[:] = of_body + [header for header in processed.headers if header[0] not in BODY_HEADERS]
    return response


def uses_hooks(app: Flask) -> bool:
    """Return whether Flask must see each request because of hooks, error handlers or WSGI middleware."""
    handlers = [
        handlers for codes in app.error_handler_spec.values() for handlers in codes.values() if handlers
    ]
    hooks = [functions for name in HOOKS for functions in getattr(app, name).values() if functions]
    return bool(handlers or hooks) or "wsgi_app" in vars(app)


def call_wsgi(application: Callable[..., Iterable[bytes]], scope: Scope, body: bytes) -> Response:
    """Return the response of a WSGI application; a body of unknown length is streamed."""
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> None:
        started[:] = (
            int(status[:3]),
            [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        )

    chunks = application(build_wsgi_environ(scope, body), start_response)
    status, headers = started
    if not any(name == b"content-length" for name, _ in headers):
        return Response(status, headers, chunks)
    try:
        return Response(status, headers, b"".join(chunks))
    finally:
        getattr(chunks, "close", lambda: None)()


def configure_like_connexion(app: Flask) -> None:
    """Set a Flask application up as Connexion does: its JSON, converters and passed-on exceptions."""
    app.json = FlaskJSONProvider(app)
    app.url_map.converters["float"] = NumberConverter
    app.url_map.converters["int"] = IntegerConverter
    for name in ("PROPAGATE_EXCEPTIONS", "TRAP_BAD_REQUEST_ERRORS", "TRAP_HTTP_EXCEPTIONS"):
        app.config[name] = True
