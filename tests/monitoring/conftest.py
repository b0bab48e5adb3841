"""Fixtures of the monitoring: services that did everything that is measured, scraped by Prometheus."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.monitoring.exercises import exercise, overload
from tests.support.postgres import PostgreSQL
from tests.support.secured import Credentials, add_client, settings
from tests.support.service import Service, service
from tools.dashboard.prometheus import Prometheus, prometheus, target

SCOPES = ("users:read", "users:write", "metrics:read")
NARROW = {"WEB_CONCURRENCY": "1", "CLIENT_CONNECTIONS": "3"}


@pytest.fixture(scope="session")
def usual(postgres: PostgreSQL) -> Iterator[Service]:
    """A service that requires access tokens and checks every response."""
    with service(
        postgres.create("users_monitored"), CONTRACT_SAMPLE="1", WEB_CONCURRENCY="1", **settings("required")
    ) as running:
        yield running


@pytest.fixture(scope="session")
def narrow(postgres: PostgreSQL) -> Iterator[Service]:
    """A service that accepts three connections at a time."""
    with service(postgres.create("users_narrow"), **NARROW) as running:
        yield running


@pytest.fixture(scope="session")
def credentials(usual: Service) -> Credentials:
    """A client that may do everything."""
    return add_client(usual, *SCOPES)


@pytest.fixture(scope="session")
def documented_target(usual: Service, credentials: Credentials) -> dict[str, Any]:
    """The scrape job of docs/operations.md for the service with access tokens."""
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    (example,) = re.findall(r"```yaml\n(scrape_configs:.*?)```", page, re.DOTALL)
    for documented, actual in {
        "CLIENT_ID": credentials.client_id,
        "CLIENT_SECRET": credentials.secret,
        "https://users.example.org": usual.url,
        "users.example.org": f"127.0.0.1:{usual.port}",
        "scheme: https": "scheme: http",
    }.items():
        assert documented in example, documented
        example = example.replace(documented, actual)
    (job,) = yaml.safe_load(example)["scrape_configs"]
    return job


@pytest.fixture(scope="session")
def scraped(usual: Service, narrow: Service, documented_target: dict[str, Any]) -> Iterator[Prometheus]:
    """A Prometheus with the metrics of both services, which did everything that is measured."""
    (oauth2,) = [documented_target["oauth2"]]
    form = {"grant_type": "client_credentials"}
    with (
        prometheus(documented_target, target(narrow.port)) as server,
        httpx.Client(base_url=usual.url, timeout=60) as client,
    ):
        issued = client.post("/oauth/token", data=form, auth=(oauth2["client_id"], oauth2["client_secret"]))
        client.headers["Authorization"] = f"Bearer {issued.json()['access_token']}"
        exercise(usual, client, server)
        overload(narrow, server)
        yield server
