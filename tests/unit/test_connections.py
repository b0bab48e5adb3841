"""The settings of the connection pool: its size in each worker, and its timeout."""

import pytest

from users_api.app import create_flask_app
from users_api.config import DevelopmentConfig, SettingsError, load_settings
from users_api.database import db
from users_api.database.pool import GreenletPool


@pytest.mark.parametrize(
    ("workers", "connections", "share"),
    [("2", "", 8), ("1", "", 16), ("3", "", 5), ("16", "", 1), ("4", "90", 22)],
)
def test_workers_share_the_connections(
    monkeypatch: pytest.MonkeyPatch, workers: str, connections: str, share: int
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", workers)
    monkeypatch.setenv("DATABASE_CONNECTIONS", connections)

    assert share == DevelopmentConfig.POOL_SIZE


def test_each_worker_requires_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "17")

    with pytest.raises(SettingsError) as raised:
        load_settings()

    assert (
        str(raised.value)
        == "DATABASE_CONNECTIONS must be at least 17, one for each of WEB_CONCURRENCY's workers"
    )


def test_the_pool_timeout_accepts_fractions_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada@database/users")
    monkeypatch.setenv("DATABASE_POOL_TIMEOUT", "0.25")

    with create_flask_app().app_context():
        pool = db.engine.pool

    assert isinstance(pool, GreenletPool)
    assert pool.timeout() == pool.recreate().timeout() == 0.25


@pytest.mark.parametrize(("in_flight", "size", "most"), [("1", 1, 0), ("8", 8, 0), ("9", 8, 1), ("", 8, 248)])
def test_the_pool_size_and_queue_are_limited_by_requests_in_flight(
    monkeypatch: pytest.MonkeyPatch, in_flight: str, size: int, most: int
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada@database/users")
    monkeypatch.setenv("REQUESTS_IN_FLIGHT", in_flight)

    with create_flask_app().app_context():
        pool = db.engine.pool

    assert (pool.size(), pool.queue.max_waiting) == (size, most)
