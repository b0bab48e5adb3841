"""Puts the parts together; nothing imports it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from connexion.middleware import ConnexionMiddleware
from connexion.middleware.lifespan import LifespanMiddleware
from connexion.resolver import RelativeResolver
from flask import Flask
from flask_migrate import Migrate
from sqlalchemy import make_url

from users_api import errors
from users_api.config import Config, load_settings
from users_api.connections import wait_on_the_loop
from users_api.db import db, engine_options, limit_sessions, tune
from users_api.http.bridge import BridgedApp
from users_api.http.document import load_document, operation_ids
from users_api.http.documentation import Documentation
from users_api.http.failures import Failures, Faults
from users_api.http.guard import Guard
from users_api.http.metrics import Meter, Metrics
from users_api.http.validation import Validation
from users_api.http.validators import VALIDATORS
from users_api.models import User

MIGRATIONS = Path(__file__).with_name("migrations")


def create_app() -> BridgedApp:
    """Return the ASGI application, configured by the environment.

    Raises:
        SettingsError: the environment is wrong.
    """
    document = load_document()
    settings = load_settings()
    metrics = Metrics(operation_ids(document))

    @asynccontextmanager
    async def lifespan(_middleware: ConnexionMiddleware) -> AsyncIterator[None]:
        """Only a process that serves waits on its event loop."""
        with app.app.app_context():
            wait_on_the_loop(db.engine)
            limit_sessions(
                db.engine,
                statement_timeout=settings.DATABASE_STATEMENT_TIMEOUT,
                lock_timeout=settings.DATABASE_LOCK_TIMEOUT,
                idle_in_transaction_session_timeout=settings.DATABASE_IDLE_TIMEOUT,
            )
            yield
            db.engine.dispose()

    app = BridgedApp(
        "users_api",
        request_seconds=settings.REQUEST_TIMEOUT,
        lifespan=lifespan,
        middlewares=[
            partial(Meter, metrics=metrics),
            partial(Faults, handler=errors.fault),
            Failures,
            partial(Documentation, document=document, metrics=metrics),
            partial(Guard, body_limit=settings.BODY_LIMIT, body_seconds=settings.BODY_TIMEOUT),
            Validation,
            LifespanMiddleware,
        ],
        resolver=RelativeResolver("users_api.handlers"),
        server_args={"static_folder": None},
        validator_map=VALIDATORS,
    )
    errors.register(app)
    configure(app.app, settings)
    app.add_api(document)
    return app


def create_flask_app() -> Flask:
    """Return the inner Flask application, which Flask's and Flask-Migrate's commands need, with the document's routes."""
    app = create_app()
    app.middleware.app, app.middleware.middleware_stack = app.middleware._build_middleware_stack()  # noqa: SLF001 -- Connexion builds it with the first request only.
    flask_app: Flask = app.app
    return flask_app


def configure(app: Flask, settings: type[Config]) -> None:
    """Give the Flask application its settings, its database and its shell."""
    app.config.from_object(settings)
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(
        make_url(app.config["SQLALCHEMY_DATABASE_URI"]),
        pool_size=min(settings.POOL_SIZE, settings.REQUESTS_IN_FLIGHT),
        most_waiting=max(0, settings.REQUESTS_IN_FLIGHT - settings.POOL_SIZE),
        pool_timeout=settings.DATABASE_POOL_TIMEOUT,
        connect_timeout=settings.DATABASE_CONNECT_TIMEOUT,
    )
    db.init_app(app)
    Migrate(app, db, directory=str(MIGRATIONS))
    with app.app_context():
        tune(db.engine)
    app.shell_context_processor(lambda: {"app": app, "db": db, "User": User})
