"""Servers that accept connections and never answer: the command ends all the same."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from socket import create_server

import psycopg2
import pytest

from tests.checks.outcome import Deployment, Outcome
from tests.support.issuers import ControlledIssuer, hang, in_thread
from tests.support.redis import redis
from tests.support.service import COMMAND


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port on which connections are accepted, and nothing is sent."""
    with closing(create_server(("127.0.0.1", 0), backlog=100)) as listener:
        yield listener.getsockname()[1]


def check(**environment: str) -> Outcome:
    """Run the command in a process of its own, which must end."""
    command = [COMMAND, "check", "--json"]
    checked = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (checked.returncode, checked.stderr) == (1, "")
    return Outcome(json.loads(checked.stdout))


def test_servers_that_hang_do_not_hang_the_command(silent_port: int) -> None:
    with in_thread(ControlledIssuer()) as issuer, redis() as server:
        issuer.everywhere = hang
        server.signal(signal.SIGSTOP)
        found = check(
            APP_SETTINGS="users_api.config.ProductionConfig",
            AUTH="required",
            AUTH_ISSUER=issuer.url,
            AUTH_AUDIENCE="users-api",
            DATABASE_CONNECT_TIMEOUT="1",
            DATABASE_URL=f"postgresql://ada@127.0.0.1:{silent_port}/users",
            RATE_LIMIT="100/minute",
            RATE_LIMIT_STORE=server.url,
        )

    assert found.states("settings") == {"values": "ok", "limits": "ok"}
    assert found["database.connection"][0][0] == "problem"
    assert set(found.states("database").values()) == {"problem", "not_checked"}
    assert found["access.tokens"] == [("problem", f"{issuer.url}: no complete response within 5 s")]
    assert found["rate_limits.store"] == [("problem", "no answer in time")]


def test_a_statement_that_hangs_does_not_hang_the_command(deployment: Deployment) -> None:
    with closing(psycopg2.connect(deployment.owner)) as other:
        other.cursor().execute("LOCK TABLE alembic_version")

        found = check(DATABASE_URL=deployment.url, DATABASE_LOCK_TIMEOUT="0", DATABASE_STATEMENT_TIMEOUT="0")

    assert found["database.migration"] == [("problem", "no result within 10 s")]
    assert found["database.privileges"] == [("not_checked", "the check `migration` hangs")]
    assert found["access.hosts"][0][0] == "ok"
