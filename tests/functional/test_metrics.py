"""The metrics page counts and times each request once, across all workers."""

import os
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.postgres import PostgreSQL
from tests.support.service import Service, service
from tests.support.waiting import until
from users_api.observability.instruments import INSTRUMENTS
from users_api.observability.observer import FLUSH_SECONDS

USER = {"username": "michael", "email": "hermanmu@gmail.com"}
REQUESTS = "http_server_request_duration_seconds_count"
STATEMENTS = "db_client_operation_duration_seconds_count"
Sample = tuple[str, ...]


def samples(page: str) -> Counter[Sample]:
    """Return the samples of a page by name and labels; the test fails on any malformed line."""
    found: Counter[Sample] = Counter()
    for family in text_string_to_metric_families(page):
        assert family.documentation.endswith(".")
        for sample in family.samples:
            found[sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))] = (
                sample.value
            )
    return found


def read(running: Service) -> Counter[Sample]:
    return samples(httpx.get(f"{running.url}/metrics").text)


def requests(counted: Counter[Sample]) -> Counter[tuple[str, str]]:
    """Return the numbers of requests by operation and status, without those that read the metrics."""
    found: Counter[tuple[str, str]] = Counter()
    for (name, *labels), value in counted.items():
        if name == REQUESTS and "operation=read_metrics" not in labels:
            of = dict(label.split("=", 1) for label in labels)
            found[of["operation"], of["http_response_status_code"]] += int(value)
    return found


def eventually(read_counts: Callable[[], Counter[Any]], count: int) -> Counter[Any]:
    """Return the counts as soon as there are so many: a request is counted up to 50 ms after its end."""
    until(lambda: read_counts().total() >= count)
    return read_counts()


@pytest.fixture
def client(server: Service) -> Iterator[httpx.Client]:
    """A client with one connection, so that one worker has counted all its requests."""
    time.sleep(4 * FLUSH_SECONDS)  # The workers have counted the requests of earlier tests by then.
    with httpx.Client(base_url=server.url, limits=httpx.Limits(max_connections=1)) as client:
        yield client


def test_the_page_has_prometheuss_text_format(client: httpx.Client) -> None:
    page = client.get("/metrics")

    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert page.text.endswith("\n")
    assert {
        name.removesuffix("_total") for name in re.findall(r"# TYPE (\w+)", page.text)
    } <= INSTRUMENTS.keys()
    assert client.head("/metrics").headers["Content-Type"] == page.headers["Content-Type"]
    assert client.post("/metrics").status_code == 405


def test_each_response_is_counted_by_operation_and_status(client: httpx.Client) -> None:
    before = requests(samples(client.get("/metrics").text))
    email = f"{os.urandom(8).hex()}@example.org"

    client.get("/ping")
    client.get("/users?limit=0")
    client.post("/users", json=USER | {"email": email})
    client.post("/users", json=USER | {"email": email})
    client.head("/users/999999")
    client.put("/ping")
    client.get("/nowhere")

    assert eventually(lambda: requests(samples(client.get("/metrics").text)) - before, count=7) == {
        ("ping", "200"): 1,
        ("list_users", "400"): 1,
        ("create_user", "201"): 1,
        ("create_user", "400"): 1,
        ("get_user", "404"): 1,
        ("", "404"): 1,
        ("", "405"): 1,
    }


def test_each_response_is_timed(client: httpx.Client) -> None:
    before = samples(client.get("/metrics").text)

    def timed(kind: str) -> Counter[str]:
        grown = samples(client.get("/metrics").text) - before
        return Counter(
            {
                next((label for label in sample if label.startswith("le=")), "all"): value
                for sample, value in grown.items()
                if sample[0] == f"http_server_request_duration_seconds_{kind}"
                and "operation=list_users" in sample
            }
        )

    for _ in range(3):
        client.get("/users")
    until(lambda: timed("count")["all"] == 3)

    assert timed("bucket")["le=+Inf"] == 3
    assert list(timed("bucket").values()) == sorted(timed("bucket").values())
    assert 0 < timed("sum")["all"] < 60


def test_each_statement_is_timed(client: httpx.Client, backend: str) -> None:
    before = samples(client.get("/metrics").text)

    def counted() -> Counter[Sample]:
        grown = samples(client.get("/metrics").text) - before
        return Counter({sample[1:]: value for sample, value in grown.items() if sample[0] == STATEMENTS})

    client.get("/users")
    client.get("/users/999999")
    client.get("/health/ready")

    found = eventually(counted, count=3)
    system = f"db_system_name={backend}"
    assert found["db_collection_name=users", "db_operation_name=SELECT", system, "error_type="] == 2


def test_a_statement_that_fails_is_counted_with_its_sqlstate(postgres: PostgreSQL) -> None:
    failed = "db_collection_name=users", "db_operation_name=SELECT", "db_system_name=postgresql"

    def failures() -> Counter[Sample]:
        return Counter(
            {
                tuple(labels): count
                for (name, *labels), count in read(running).items()
                if name == STATEMENTS and "error_type=" not in labels
            }
        )

    with postgres.temporary("failing") as url, service(url) as running:
        with closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            connection.cursor().execute("ALTER TABLE users RENAME TO away")
        for _ in range(3):  # SQLAlchemy executes a statement on each connection when it opens it.
            assert httpx.get(f"{running.url}/health/ready").status_code == 200
            assert httpx.get(f"{running.url}/users/1").status_code == 503

        until(lambda: failures().total() >= 3)
        assert failures() == {(*failed, "error_type=42P01"): 3}


def test_connections_and_the_pool_are_measured(server: Service) -> None:
    with socket.create_connection(("127.0.0.1", server.port)):
        until(lambda: read(server)["http_server_connections",] >= 1)

    httpx.get(f"{server.url}/users")
    until(lambda: read(server)["db_client_connections", "state=idle"] >= 1)
    counted = read(server)
    assert counted["db_client_connections_max",] == 16
    assert counted["db_client_connections_pending_requests",] == 0
    assert counted["event_loop_lag_seconds_count",] > 0
    ((_, python, version),) = [sample for sample in counted if sample[0] == "users_api_build_info"]
    assert (python[:17], version[:8]) == ("python_version=3.", "version=")


def test_a_request_that_is_not_http_is_counted_as_rejected(server: Service) -> None:
    rejected = "http_server_rejected_requests_total", "http_response_status_code=400"
    before = read(server)[rejected]

    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"GARBAGE\r\n\r\n")
        connection.recv(1024)

    assert read(server)[rejected] == before + 1


def test_requests_of_a_killed_worker_remain_counted_and_its_connections_do_not(tmp_path: Path) -> None:
    with service(f"sqlite:///{tmp_path}/metrics.db") as running:
        until(lambda: running.output().count("Application startup complete.") == 2)
        clients = [httpx.Client(base_url=running.url) for _ in range(8)]
        before = requests(samples(clients[0].get("/metrics").text))["ping", "200"]
        for client in clients:
            for _ in range(5):
                client.get("/ping")
        until(lambda: requests(read(running))["ping", "200"] == before + 40)  # Counted within 50 ms.
        counted = [requests(samples(client.get("/metrics").text))["ping", "200"] for client in clients]
        until(lambda: read(running)["http_server_connections",] >= 8)

        for victim in psutil.Process(running.process.pid).children():
            os.kill(victim.pid, signal.SIGKILL)
        until(lambda: running.output().count("Application startup complete.") == 4)
        counted += [requests(read(running))["ping", "200"] for _ in range(8)]
        until(lambda: read(running)["http_server_connections",] <= 1)
        for client in clients:
            client.close()

    assert [count - before for count in counted] == [40] * 16
