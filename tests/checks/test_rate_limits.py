"""Rate limits, and a real Redis server that fails."""

import signal
from collections.abc import Callable, Iterator

import pytest
from redis import Redis as Client

from tests.checks.outcome import Outcome
from tests.support.redis import Redis, redis

Check = Callable[..., Outcome]
PASSWORD = "correct-horse"  # noqa: S105 -- it is that of a temporary server.


@pytest.fixture
def server() -> Iterator[Redis]:
    """A server with a password."""
    with redis(f"requirepass {PASSWORD}") as running:
        yield running


def with_store(url: str) -> dict[str, str]:
    """Return the settings of a service whose requests this server counts."""
    return {"RATE_LIMIT": "100/minute", "RATE_LIMIT_STORE": url}


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "none"),
        ({"RATE_LIMIT": "100/minute"}, "100/minute"),
        ({"AUTH": "required", "TOKEN_KEYS": "1" * 64}, "none; 30/minute for tokens"),
        (
            {"AUTH": "required", "TOKEN_KEYS": "1" * 64, "TOKEN_RATE_LIMIT": "5/minute"},
            "none; 5/minute for tokens",
        ),
    ],
)
def test_the_limits_are_named(check: Check, settings: dict[str, str], text: str) -> None:
    found = check(**settings)

    assert found["rate_limits.limits"] == [("ok", text)]
    assert found["rate_limits.store"] == [("ok", "the memory of each instance")]


def test_a_store_that_counts_is_in_order(check: Check, server: Redis) -> None:
    found = check(**with_store(f"redis://:{PASSWORD}@{server.address}"))

    with Client.from_url(server.url, password=PASSWORD) as client:
        version = client.info("server")["redis_version"]
    assert found["rate_limits.store"] == [("ok", f"Redis {version}, shared by all instances")]


def test_a_store_need_not_tell_its_version(check: Check, server: Redis) -> None:
    with Client.from_url(server.url, password=PASSWORD) as client:
        client.execute_command("ACL", "SETUSER", "ada", "on", ">horse", "~LIMITS:*", "+@all", "-info")

    found = check(**with_store(f"redis://ada:horse@{server.address}"))

    assert found["rate_limits.store"] == [("ok", "Redis, shared by all instances")]


def test_a_wrong_password_is_reported_but_not_shown(check: Check, server: Redis) -> None:
    found = check(**with_store(f"redis://:wr0ng@{server.address}"))

    ((state, text),) = found["rate_limits.store"]
    assert (state, "invalid username-password pair" in text) == ("problem", True)
    assert found.advice("rate_limits.store")[0].startswith("Until it works, requests pass")
    assert "wr0ng" not in str(found.report)


def test_a_user_that_must_not_count_is_a_problem(check: Check, server: Redis) -> None:
    with Client.from_url(server.url, password=PASSWORD) as client:
        client.execute_command("ACL", "SETUSER", "ada", "on", ">horse", "~other:*", "+@all")

    found = check(**with_store(f"redis://ada:horse@{server.address}"))

    assert found["rate_limits.store"][0][0] == "problem"


def test_a_replica_is_a_problem(check: Check, server: Redis) -> None:
    with redis(f"replicaof 127.0.0.1 {server.port}", f"masterauth {PASSWORD}") as replica:
        found = check(**with_store(replica.url))

    assert found["rate_limits.store"][0][0] == "problem"


def test_a_server_that_is_away_is_a_problem(check: Check, server: Redis) -> None:
    server.signal(signal.SIGTERM)

    found = check(**with_store(server.url))

    assert found["rate_limits.store"][0][0] == "problem"
    assert "Connect" in found["rate_limits.store"][0][1]
