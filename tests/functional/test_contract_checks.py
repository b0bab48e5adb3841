"""CONTRACT_SAMPLE: sent responses that violate the document are counted and logged, without their data."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.functional.exchanges import EXCHANGES
from tests.support.service import Service, service
from tests.support.waiting import until
from users_api.app import create_app
from users_api.engine.response_checks import ResponseChecks

PRIVATE = "no address"
COUNTED = re.compile(r'contract_violations_total\{operation="(\w+)"\} ([0-9.e+]+)')
LINE = "get_user returned 200, which violates the document at /body/data/email (pattern)"
RATE = 0.1
TWO_BLOCKS = 19
"""Requests of which at least 10 are a whole block, wherever the blocks begin."""


@contextmanager
def checking(folder: Path, rate: float) -> Iterator[Service]:
    """Run a service with one worker, and with a user whose email address is none."""
    url = f"sqlite:///{folder}/checks.db"
    with service(url, WEB_CONCURRENCY="1", CONTRACT_SAMPLE=str(rate)) as running:
        yield running


def add_invalid_user(running: Service) -> None:
    """Add user 1000, as a mistake in a migration might."""
    database = running.environment["DATABASE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("INSERT INTO users (id, username, email) VALUES (1000, 'ada', ?)", [PRIVATE])
        connection.commit()


def violations(running: Service) -> dict[str, int]:
    """Return the counted violations by operation, without operations that have none."""
    counted = COUNTED.findall(httpx.get(f"{running.url}/metrics").text)
    return {name: int(float(count)) for name, count in counted if float(count)}


def test_every_response_of_the_service_conforms(tmp_path: Path) -> None:
    with checking(tmp_path, 1) as running, httpx.Client(base_url=running.url) as client:
        for each in EXCHANGES:
            response = client.request(each.method, each.path, content=each.body, headers=each.headers)
            assert response.status_code == each.status

        assert violations(running) == {}
        assert "violates the document" not in running.output()


def test_a_violation_is_counted_and_logged_without_data(tmp_path: Path) -> None:
    with checking(tmp_path, 1) as running, httpx.Client(base_url=running.url) as client:
        add_invalid_user(running)

        found = [client.get("/users/1000") for _ in range(3)]
        client.get("/users")

        assert [response.json()["data"]["email"] for response in found] == [PRIVATE] * 3
        until(lambda: violations(running) == {"get_user": 3, "list_users": 1})
        assert LINE in running.output()
        assert "/body/data/users/0/email (pattern)" in running.output()
        assert PRIVATE not in running.output()


def test_at_a_lower_rate_a_violation_is_noticed_within_two_blocks(tmp_path: Path) -> None:
    with checking(tmp_path, RATE) as running, httpx.Client(base_url=running.url) as client:
        add_invalid_user(running)

        for _ in range(TWO_BLOCKS):
            client.get("/users/1000")

        until(lambda: violations(running).keys() == {"get_user"})
        assert violations(running)["get_user"] <= 3
        assert LINE in running.output()


@pytest.fixture
def has_checks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., bool]:
    """Returns whether the application with these settings has checks."""

    def make(settings: str, **variables: str) -> bool:
        url = f"sqlite:///{tmp_path}/settings.db"
        named = {"APP_SETTINGS": f"users_api.config.{settings}", "AUTH": "none"}
        for name, value in (named | {"DATABASE_URL": url, "DATABASE_TEST_URL": url} | variables).items():
            monkeypatch.setenv(name, value)
        return isinstance(create_app().build(), ResponseChecks)

    return make


def test_the_application_has_checks_only_if_the_settings_ask_for_them(
    has_checks: Callable[..., bool],
) -> None:
    assert not has_checks("ProductionConfig")
    assert not has_checks("TestingConfig")
    assert has_checks("ProductionConfig", CONTRACT_SAMPLE="0.01")
    assert has_checks("DevelopmentConfig", CONTRACT_SAMPLE="")
