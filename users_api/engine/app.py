"""`App`, a replacement for `connexion.FlaskApp`; it compiles everything before the first request."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvicorn
from connexion.apps.abstract import AbstractApp
from connexion.middleware import MiddlewarePosition
from connexion.middleware.main import ConnexionMiddleware
from connexion.utils import get_root_path
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from users_api.engine.api import OPTION_NAMES, Api, Options
from users_api.engine.body_reader import BodyReader
from users_api.engine.calls import RunFunction, ThreadPoolRunner
from users_api.engine.contexts import EngineFlask, configure_like_connexion
from users_api.engine.document import Document
from users_api.engine.error_handlers import ErrorHandler, ErrorHandlers
from users_api.engine.failures import DocumentError
from users_api.engine.pages import Pages
from users_api.engine.pipeline import Pipeline
from users_api.engine.response_checks import OnViolation, log_violations

ALREADY_STARTED_MESSAGE: Final = "The application has already started: register before the first request."
DEFAULT_THREADS: Final = 10  # The default of a2wsgi, with which Connexion calls Flask.

logger = logging.getLogger(__name__)


class MiddlewareStack:
    """The middleware stack, `app.middleware` in Connexion; a program may replace it with a wrapper."""

    def __init__(self, app: "App") -> None:
        """Store the application."""
        self._app = app
        self.stack: ASGIApp | None = None

    def build(self) -> ASGIApp:
        """Build the stack, once."""
        if self.stack is None:
            self.stack = Pipeline(self._app).stack()
        return self.stack

    _build_middleware_stack = build  # The name by which programs written for Connexion call it.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        await self.build()(scope, receive, send)


class App(AbstractApp):
    """Serves OpenAPI 3.0 documents with plain functions; the documents are the router and the contract.

    The constructor takes FlaskApp's arguments, and these: `run_plain` runs plain handlers instead of a thread
    pool; `threads` is the size of that pool; `body_limit` (bytes) and `body_seconds` bound what a client may
    send; `pages` serves the documentation and the program's own pages; with `raise_problems`, a
    `connexion.problem` that a handler returns goes to the error handlers as if it were raised; with
    `context_by_name`, handlers get `user` and `token_info` only by name, not in their `**arguments`;
    `on_blocking` is called with the operationId when a step of a handler holds the event loop for 100 ms.

    `check_responses` is the share of all responses, from 0 to 1, that is checked against the document after
    they have been sent; `on_violation` then gets the operation, the status, and the list of Violations.
    """

    def __init__(  # noqa: PLR0913 -- FlaskApp's arguments, and a few more.
        self,
        import_name: str,
        *,
        lifespan: Any = None,
        middlewares: list[Any] | None = None,
        server_args: Mapping[str, Any] | None = None,
        specification_dir: Path | str = "",
        run_plain: RunFunction | None = None,
        threads: int = DEFAULT_THREADS,
        body_limit: int | None = None,
        body_seconds: float | None = None,
        pages: Pages | None = None,
        raise_problems: bool = False,
        context_by_name: bool = False,
        on_blocking: Callable[[str], None] | None = None,
        check_responses: float = 0,
        on_violation: OnViolation = log_violations,
        **options: Any,
    ) -> None:
        """Create the application; `add_api` adds its APIs.

        Raises:
            TypeError: neither FlaskApp nor this class has the option.
            ValueError: `check_responses` is no share.
        """
        if unknown := options.keys() - OPTION_NAMES:
            message = f"App() has no option {', '.join(sorted(unknown))}"
            raise TypeError(message)
        if not 0 <= check_responses <= 1:
            message = f"check_responses must be from 0 to 1, not {check_responses}"
            raise ValueError(message)
        self.app = EngineFlask(import_name, **(server_args or {}))
        configure_like_connexion(self.app)
        self.options = Options().overridden_by(options)
        self.apis, self.extra_files = list[Api](), list[str]()
        self._lifespan = Router(lifespan=lifespan)
        self.error_handlers = ErrorHandlers()
        self.pages = pages or Pages()
        self.raise_problems = raise_problems
        self.context_by_name = context_by_name
        self.on_blocking = on_blocking
        self.check_responses, self.on_violation = check_responses, on_violation
        self.reader = BodyReader(body_limit, body_seconds)
        self.threads = ThreadPoolRunner(threads)
        self.run_plain: RunFunction = run_plain or self.threads
        self.middlewares = list(
            ConnexionMiddleware.default_middlewares if middlewares is None else middlewares
        )
        self.wsgi_middlewares: list[Callable[[Any], Any]] = []
        self._stack = MiddlewareStack(self)
        self.middleware: Any = self._stack
        self._folder = Path(get_root_path(import_name)) / specification_dir
        self._serve: ASGIApp | None = None
        self._error: Exception | None = None

    def add_api(
        self,
        specification: Path | str | dict[str, Any],
        *,
        base_path: str | None = None,
        name: str | None = None,
        **options: Any,
    ) -> Api:
        """Add the API of a document: a dict, a path beside the program, or a URL.

        Options that Connexion does not define are passed to each program middleware with `add_api`.

        Raises:
            DocumentError: the document is not valid OpenAPI 3.0, or uses a feature that cannot be enforced.
        """
        self._check_not_started()
        known = {option: value for option, value in options.items() if option in OPTION_NAMES}
        chosen = self.options.overridden_by(known)
        api = Api(self._load(specification, chosen.arguments), chosen, base_path=base_path, name=name)
        api.middleware_options = {
            option: value for option, value in options.items() if option not in OPTION_NAMES
        }
        self.apis.append(api)
        return api

    def _load(self, specification: Path | str | dict[str, Any], arguments: dict[str, Any] | None) -> Document:
        if isinstance(specification, str) and specification.startswith(("http://", "https://")):
            return Document.load(specification, arguments=arguments)
        if isinstance(specification, (str, Path)):
            path = self._folder / specification
            self.extra_files.append(str(path))
            return Document.load(path, arguments=arguments)
        return Document.load(specification)

    def add_error_handler(self, code_or_exception: int | type[Exception], function: ErrorHandler) -> None:
        """Register the function that responds to this exception, or to HTTP exceptions of this status."""
        self._check_not_started()
        self.error_handlers.add(code_or_exception, function)

    def add_middleware(
        self,
        middleware_class: Any,
        position: MiddlewarePosition = MiddlewarePosition.BEFORE_CONTEXT,
        **options: Any,
    ) -> None:
        """Add an ASGI middleware at a position of Connexion's stack.

        Raises:
            ValueError: the stack has no such position.
        """
        self._check_not_started()
        for at, middleware in enumerate(self.middlewares):
            if getattr(middleware, "func", middleware) == position.value:
                self.middlewares.insert(at, partial(middleware_class, **options))
                return
        message = f"the stack has no {position.value.__name__}, so nothing can be added at {position.name}"
        raise ValueError(message)

    def add_wsgi_middleware(self, middleware: Callable[..., Any], **options: Any) -> None:
        """Wrap the Flask application in a WSGI middleware; every request then passes through Flask."""
        self.wsgi_middlewares.append(partial(middleware, **options))

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: Callable[..., Any] | None = None,
        **options: Any,
    ) -> None:
        """Add a Flask route in addition to the documents' paths."""
        self.app.add_url_rule(rule, endpoint=endpoint, view_func=view_func, **options)

    def run(self, import_string: str | None = None, **options: Any) -> None:
        """Serve for development with uvicorn; an import string such as `main:app` turns on reloading."""
        logger.warning("`App.run` is meant for development. In production, use a server such as gunicorn.")
        if import_string:
            options = {"reload": True, "reload_includes": self.extra_files, **options}
        uvicorn.run(import_string or self, **options)

    def build(self) -> ASGIApp:
        """Compile every operation once, and return the ASGI application; otherwise the first request does so.

        Raises:
            DocumentError: a document uses a feature that cannot be enforced.
        """
        if self._error is not None:
            raise self._error.with_traceback(None)  # Each raise would add to the traceback.
        if self._serve is None:
            try:
                stack = self._stack.build()
            except Exception as error:
                self._error = error
                raise
            self._serve = stack if self.middleware is self._stack else self.middleware
        return self._serve

    def _check_not_started(self) -> None:
        if self._serve is not None:
            raise RuntimeError(ALREADY_STARTED_MESSAGE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or the lifespan; a refused document ends the server's startup with one line."""
        try:
            serve = self._serve or self.build()
        except DocumentError as error:
            if scope["type"] != "lifespan":
                raise
            await receive()  # uvicorn takes an exception for an application without a lifespan, and starts.
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        scope["app"] = self
        await (self._lifespan if scope["type"] == "lifespan" else serve)(scope, receive, send)
