"""Behind a router: whom it may speak for, and who closes a connection first."""

import httpx
import pytest

from tests.postgres import PostgreSQL
from tests.server import service
from users_api.http import server

CALLERS = {"X-Forwarded-For": "192.0.2.1, 203.0.113.9", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(
    ("trusted", "caller"),
    [
        pytest.param("127.0.0.0/8", "203.0.113.9", id="the router's word counts, a caller's own does not"),
        pytest.param("10.0.0.0/8", "127.0.0.1", id="nobody else's word counts"),
    ],
)
def test_only_the_router_may_name_the_caller(postgres: PostgreSQL, trusted: str, caller: str) -> None:
    logged = {"FORWARDED_ALLOW_IPS": trusted, "GUNICORN_CMD_ARGS": "--access-logfile -"}
    with service(postgres.create(f"router_{trusted.partition('.')[0]}"), **logged) as running:
        httpx.get(f"{running.url}/users", headers=CALLERS)
        (line,) = [line for line in running.output().splitlines() if "GET /users " in line]

    assert caller in line.partition("GET")[0]


def test_the_time_outs_suit_herokus_router() -> None:
    assert server.keepalive > 90, "the router keeps idle connections for 90 s and must be the one that closes them"
    assert server.settings.GRACEFUL_TIMEOUT < server.graceful_timeout < 30, "30 s after SIGTERM comes SIGKILL"
