"""What several tests of the server need."""

import pytest

from users_api.server import metrics
from users_api.server.metrics import SharedCounters


@pytest.fixture
def counters(monkeypatch: pytest.MonkeyPatch) -> SharedCounters:
    """New counters for one test."""
    counters = SharedCounters()
    monkeypatch.setattr(metrics, "shared_counters", lambda: counters)
    return counters
