"""Creates the application; only the commands and the development server import this module."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any, Final

from connexion.middleware import MiddlewarePosition
from connexion.options import SwaggerUIOptions
from connexion.resolver import RelativeResolver
from flask import Flask
from flask_migrate import Migrate
from sqlalchemy import URL, Engine, create_engine, make_url
from starlette.responses import RedirectResponse

from users_api import errors
from users_api.authentication import Authentication, create_authentication
from users_api.config import Config, load_settings
from users_api.contract_violations import ContractViolations
from users_api.cors import CrossOrigin
from users_api.database import (
    db,
    engine_options,
    listen_to_engine_events,
    newest_migration,
    observe_statements,
    run_in_greenlet,
    set_session_timeouts,
    wait_on_the_loop,
)
from users_api.document import TOKEN_OPERATION, Parts, load_document
from users_api.engine import App
from users_api.engine.api import Api
from users_api.engine.pages import Pages
from users_api.hosts import AllowedHosts
from users_api.limiting import Limiting, too_many_requests
from users_api.models import User
from users_api.observability.cells import shared_cells
from users_api.observability.exposition import Metrics
from users_api.observability.instruments import BLOCKING_CALLS, BUILD_INFO
from users_api.observability.pools import add_pool_gauges
from users_api.observability.recorder import shared_recorder
from users_api.observability.sampler import Sampler
from users_api.observability.statements import ReportedStatements, TracedStatements
from users_api.observability.trace_settings import shared_tracing
from users_api.rate_limits.middleware import RateLimitMiddleware
from users_api.security_headers import PAGE_HEADERS, TAGGED_PAGE_HEADERS

MIGRATIONS: Final = Path(__file__).with_name("migrations")
SWAGGER_UI_TEMPLATES: Final = Path(__file__).with_name("ui")
UNUSED_SCRIPTS: Final = ("swagger-ui.js", "swagger-ui-standalone-preset.js")  # The bundle includes them.


def create_app() -> App:
    """Return the ASGI application, configured by the environment.

    Raises:
        SettingsError: an environment variable is missing or wrong.
        DocumentError: the document uses a feature that the engine cannot enforce, or a handler is missing.
    """
    settings = load_settings()
    pages = Pages(
        PAGE_HEADERS,
        of_tagged=TAGGED_PAGE_HEADERS,
        packages=[("flask_swagger_ui", "dist")],
        unused=UNUSED_SCRIPTS,
    )
    app = App(
        "users_api",
        lifespan=partial(_lifespan, settings),
        resolver=RelativeResolver("users_api.handlers"),
        server_args={"static_folder": None},
        strict_validation=True,
        pythonic_params=True,
        swagger_ui_options=SwaggerUIOptions(swagger_ui_template_dir=str(SWAGGER_UI_TEMPLATES)),
        validate_responses=settings.TESTING,
        check_responses=settings.CONTRACT_SAMPLE,
        run_plain=partial(run_in_greenlet, seconds=settings.REQUEST_TIMEOUT),
        body_limit=settings.BODY_LIMIT,
        body_seconds=settings.BODY_TIMEOUT,
        pages=pages,
        raise_problems=True,
        context_by_name=True,
        on_blocking=partial(shared_recorder().count, BLOCKING_CALLS),
    )
    configure(app.app, settings)
    errors.register(app)
    authentication = create_authentication(settings, Path(app.app.instance_path))
    parts = Parts(
        authentication=authentication is not None,
        issuer=settings.AUTH_ISSUER,
        rate_limits=settings.RATE_LIMIT is not None,
    )
    handlers = authentication.security_map if authentication else {}
    api = app.add_api(load_document(parts), security_map=handlers)
    names = [node.operation["operationId"] for node in api.document.operations()]
    app.on_violation = ContractViolations(shared_recorder(), names if settings.CONTRACT_SAMPLE else ())
    app.app.extensions |= {
        "authentication": authentication,
        "metrics": Metrics(shared_cells()),
        "token_signer": authentication and authentication.signer,
    }
    _add_host_check(app, api, settings)
    _add_cors(app, api, settings)  # Inside of the check of the host: the service does not speak for others.
    _add_rate_limits(app, api, settings, authentication)
    pages.add("/", lambda _: RedirectResponse("/ui/"))
    app.build()
    return app


def _add_host_check(app: App, api: Api, settings: type[Config]) -> None:
    if settings.ALLOWED_HOSTS is not None:
        app.add_middleware(
            AllowedHosts,
            MiddlewarePosition.BEFORE_EXCEPTION,
            hosts=settings.ALLOWED_HOSTS,
            exempt_paths=_probes(api),
        )


def _add_cors(app: App, api: Api, settings: type[Config]) -> None:
    if settings.CORS_ORIGINS:
        app.add_middleware(
            CrossOrigin,
            MiddlewarePosition.BEFORE_EXCEPTION,
            origins=settings.CORS_ORIGINS,
            document=api.document,
        )


def _add_rate_limits(
    app: App, api: Api, settings: type[Config], authentication: Authentication | None
) -> None:
    """Limit the requests of each client if the settings say so, and in any case those for tokens."""
    token_paths = tuple(
        api.base_path + node.path
        for node in api.document.operations()
        if node.operation.get("operationId") == TOKEN_OPERATION
    )
    if settings.RATE_LIMIT is None and not token_paths:
        return
    limiting = Limiting(
        settings,
        tokens=authentication.tokens if authentication else None,
        token_paths=token_paths,
        probes=_probes(api),
    )
    app.app.extensions["limiting"] = limiting
    app.add_middleware(
        RateLimitMiddleware,
        MiddlewarePosition.BEFORE_EXCEPTION,
        path_suffixes=limiting.path_suffixes,
        limiter=limiting.limiter,
        identify=limiting.identify,
        reject=too_many_requests,
    )


def _probes(api: Api) -> frozenset[str]:
    """Return the paths of the operations tagged `health`."""
    nodes = api.document.operations()
    return frozenset(
        api.base_path + node.path for node in nodes if "health" in node.operation.get("tags", ())
    )


def create_flask_app() -> Flask:
    """Return the inner Flask application with the document's routes, for Flask's own commands."""
    return create_app().app


def configure(app: Flask, settings: type[Config]) -> None:
    """Configure the Flask application's settings, database and shell."""
    app.config.from_object(settings)
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _engine_options(
        settings,
        make_url(app.config["SQLALCHEMY_DATABASE_URI"]),
        pool_size=min(settings.POOL_SIZE, settings.REQUESTS_IN_FLIGHT),
        max_waiting=max(0, settings.REQUESTS_IN_FLIGHT - settings.POOL_SIZE),
    )
    db.init_app(app)
    Migrate(app, db, directory=str(MIGRATIONS))
    with app.app_context():
        listen_to_engine_events(db.engine)
    app.shell_context_processor(lambda: {"app": app, "db": db, "User": User})


def _engine_options(settings: type[Config], url: URL, *, pool_size: int, max_waiting: int) -> dict[str, Any]:
    return engine_options(
        url,
        application_name="users-api",
        pool_size=pool_size,
        max_waiting=max_waiting,
        pool_timeout=settings.DATABASE_POOL_TIMEOUT,
        connect_timeout=settings.DATABASE_CONNECT_TIMEOUT,
    )


def _connect_apart(settings: type[Config]) -> Engine:
    """Return an engine with one connection, for what must not wait for the connections of requests."""
    url = db.engine.url
    engine = create_engine(url, **_engine_options(settings, url, pool_size=1, max_waiting=0))
    listen_to_engine_events(engine)
    _prepare_engine(engine, settings)
    return engine


def _prepare_engine(engine: Engine, settings: type[Config]) -> None:
    """Connect the waits to the event loop, and limit the sessions."""
    wait_on_the_loop(engine)
    set_session_timeouts(
        engine,
        statement_timeout=settings.DATABASE_STATEMENT_TIMEOUT,
        lock_timeout=settings.DATABASE_LOCK_TIMEOUT,
        idle_in_transaction_session_timeout=settings.DATABASE_IDLE_TIMEOUT,
    )


def _measure(engine: Engine) -> None:
    """Measure the statements, and the state of the pool and of this process."""
    recorder = shared_recorder()
    tracing = shared_tracing()
    statements = ReportedStatements(engine.dialect.name, recorder)
    if tracing:
        statements = TracedStatements(engine.dialect.name, recorder, tracing)
    observe_statements(engine, statements)
    add_pool_gauges(recorder, engine)
    recorder.add_gauge(BUILD_INFO, lambda: 1, version("users-api"), python_version())


@asynccontextmanager
async def _lifespan(settings: type[Config], app: App) -> AsyncIterator[None]:
    """Connect database waits to the event loop and limit sessions, while the process serves requests.

    Raises:
        MigrationsNotFound: the installation has no migrations.
    """
    newest_migration(str(MIGRATIONS))  # Cached here, because a request might find no free file descriptor.
    with app.app.app_context():
        _prepare_engine(db.engine, settings)
        _measure(db.autocommit_engine)
        authentication, limiting = (app.app.extensions.get(name) for name in ("authentication", "limiting"))
        async with AsyncExitStack() as stack:
            if authentication:
                await stack.enter_async_context(authentication.running(partial(_connect_apart, settings)))
            stack.callback(Sampler(shared_recorder()).stop)
            if limiting:
                stack.push_async_callback(limiting.close)
            yield
        db.engine.dispose()
