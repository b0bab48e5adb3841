"""Servers that accept connections and never answer: the command ends all the same."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from socket import create_server

import pytest

from tests.checks.outcome import Outcome
from tests.support.issuers import ControlledIssuer, hang, in_thread
from tests.support.redis import redis
from tests.support.service import COMMAND


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port on which connections are accepted, and nothing is sent."""
    with closing(create_server(("127.0.0.1", 0), backlog=100)) as listener:
        yield listener.getsockname()[1]


def test_servers_that_hang_do_not_hang_the_command(silent_port: int, tmp_path: Path) -> None:
    with in_thread(ControlledIssuer()) as issuer, redis() as server:
        issuer.everywhere = hang
        server.signal(signal.SIGSTOP)
        settings = {
            "APP_SETTINGS": "users_api.config.ProductionConfig",
            "AUTH": "required",
            "AUTH_ISSUER": issuer.url,
            "AUTH_AUDIENCE": "users-api",
            "DATABASE_CONNECT_TIMEOUT": "1",
            "DATABASE_URL": f"postgresql://ada@127.0.0.1:{silent_port}/users",
            "RATE_LIMIT": "100/minute",
            "RATE_LIMIT_STORE": server.url,
        }
        checked = subprocess.run(
            [COMMAND, "check", "--json"],
            env=os.environ | settings,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert (checked.returncode, checked.stderr) == (1, "")
    found = Outcome(json.loads(checked.stdout))
    assert found.states("settings") == {"values": "ok", "limits": "ok"}
    assert found["database.connection"][0][0] == "problem"
    assert set(found.states("database").values()) == {"problem", "not_checked"}
    assert found["access.tokens"] == [("problem", f"{issuer.url}: no complete response within 5 s")]
    assert found["rate_limits.store"][0][0] == "problem"
