"""Behind a reverse proxy: trusted headers, and timeouts that suit the proxy's."""

import httpx
import pytest

from tests.support.postgres import PostgreSQL
from tests.support.service import service
from users_api.config import DevelopmentConfig
from users_api.server.configuration import gunicorn_settings
from users_api.serving import server_options

FORWARDED = {"X-Forwarded-For": "192.0.2.1, 203.0.113.9", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(
    ("trusted", "address"),
    [
        pytest.param("127.0.0.0/8", "203.0.113.9", id="only the trusted proxy's header counts"),
        pytest.param("10.0.0.0/8", "127.0.0.1", id="an untrusted proxy's header is ignored"),
    ],
)
def test_only_trusted_proxies_may_name_the_client(postgres: PostgreSQL, trusted: str, address: str) -> None:
    logged = {"FORWARDED_ALLOW_IPS": trusted, "GUNICORN_CMD_ARGS": "--access-logfile -"}
    with service(postgres.create(f"router_{trusted.partition('.')[0]}"), **logged) as running:
        httpx.get(f"{running.url}/users", headers=FORWARDED)
        (line,) = [line for line in running.output().splitlines() if "GET /users " in line]

    assert address in line.partition("GET")[0]


def test_the_timeouts_suit_herokus_router() -> None:
    options = server_options(DevelopmentConfig)
    settings = gunicorn_settings(options)

    assert settings["keepalive"] > 90, (
        "the router keeps idle connections for 90 s and must be the one that closes them"
    )
    assert options.graceful_seconds < settings["graceful_timeout"] < 30, (
        "Heroku sends SIGKILL 30 s after SIGTERM"
    )
