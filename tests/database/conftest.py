"""A Flask application with its own two tables, on each database."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import make_url

from tests.database.tables import Base
from users_api.database import (
    db,
    engine_options,
    listen_to_engine_events,
    run_in_greenlet,
    transaction,
    wait_on_the_loop,
)

POOL_SIZE = 3
SECONDS = 30


@pytest.fixture(scope="session")
def notes_url(backend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty database."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('notes')}/notes.db"
    return request.getfixturevalue("postgres").create("notes").replace("postgresql:", "postgresql+psycopg2:")


@pytest.fixture(scope="session")
def application(notes_url: str) -> Flask:
    """The application, whose pool has POOL_SIZE connections."""
    app = Flask("notes")
    options = engine_options(
        make_url(notes_url),
        application_name="notes",
        pool_size=POOL_SIZE,
        max_waiting=1000,
        pool_timeout=SECONDS,
        connect_timeout=5,
    )
    app.config |= {"SQLALCHEMY_DATABASE_URI": notes_url, "SQLALCHEMY_ENGINE_OPTIONS": options}
    db.init_app(app)
    with app.app_context():
        listen_to_engine_events(db.engine)
        Base.metadata.create_all(db.engine)
        wait_on_the_loop(db.engine)
    return app


@pytest.fixture
def serve(application: Flask) -> Iterator[Callable[..., list[Any]]]:
    """Runs handlers at the same time, each in a greenlet and an application context as a request does."""

    def handle(handler: Callable[[], Any]) -> Any:
        with application.app_context():
            return handler()

    async def gather(handlers: tuple[Callable[[], Any], ...], seconds: float) -> list[Any]:
        requests = [run_in_greenlet(lambda each=each: handle(each), seconds) for each in handlers]
        try:
            return await asyncio.gather(*requests, return_exceptions=True)
        finally:
            with application.app_context():
                db.engine.dispose()

    def run(*handlers: Callable[[], Any], seconds: float = SECONDS) -> list[Any]:
        return asyncio.run(gather(handlers, seconds))

    yield run
    assert run(empty) == [None]


def empty() -> None:
    """Remove all rows."""
    with transaction() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())


@pytest.fixture
def one(serve: Callable[..., list[Any]]) -> Callable[..., Any]:
    """Runs one handler like a request, and returns its result or raises its exception."""

    def run(handler: Callable[[], Any], seconds: float = SECONDS) -> Any:
        (result,) = serve(handler, seconds=seconds)
        if isinstance(result, BaseException):
            raise result
        return result

    return run
