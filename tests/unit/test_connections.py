"""However many workers there are, together they open no more connections than the instance may."""

import pytest

from users_api.config import DevelopmentConfig, SettingsError, load_settings


@pytest.mark.parametrize(
    ("workers", "connections", "share"), [("2", "", 8), ("1", "", 16), ("3", "", 5), ("16", "", 1), ("4", "90", 22)]
)
def test_workers_share_the_connections(monkeypatch: pytest.MonkeyPatch, workers: str, connections: str, share: int) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", workers)
    monkeypatch.setenv("DATABASE_CONNECTIONS", connections)

    assert share == DevelopmentConfig.POOL_SIZE


def test_each_worker_needs_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "17")

    with pytest.raises(SettingsError) as refusal:
        load_settings()

    assert str(refusal.value) == "DATABASE_CONNECTIONS must be 17 at least, one for each of WEB_CONCURRENCY's workers"
