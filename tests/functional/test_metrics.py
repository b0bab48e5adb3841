"""The metrics page counts each request once, across all workers."""

import os
import re
import signal
from collections import Counter
from pathlib import Path

import httpx
import psutil
from starlette.testclient import TestClient

from tests.support.service import service
from tests.support.waiting import until

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="[^"]*",?)+)\})? ([0-9.e-]+)')
COMMENT = re.compile(r"# (HELP [a-z_]+ .+\.|TYPE [a-z_]+ (counter|histogram))")
USER = {"username": "michael", "email": "hermanmu@gmail.com"}


def samples(text: str) -> Counter[str]:
    """Return the samples of a page by name and labels; the test fails on any malformed line."""
    found: Counter[str] = Counter()
    for line in text.splitlines():
        if sample := SAMPLE.fullmatch(line):
            found[line.rpartition(" ")[0]] = float(sample[3])
        else:
            assert COMMENT.fullmatch(line), line
    return found


def counter(operation: str, status: int) -> str:
    """Return the name of the counter of these responses."""
    return f'http_requests_total{{operation="{operation}",status="{status}"}}'


def test_the_page_has_prometheuss_text_format(client: TestClient) -> None:
    page = client.get("/metrics")

    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert page.text.endswith("\n")
    assert client.head("/metrics").headers["Content-Type"] == page.headers["Content-Type"]
    assert client.post("/metrics").status_code == 405


def test_each_response_is_counted_by_operation_and_status(client: TestClient) -> None:
    before = samples(client.get("/metrics").text)

    client.get("/ping")
    client.get("/users?limit=0")
    client.post("/users", json=USER)
    client.post("/users", json=USER)
    client.head("/users/1")
    client.put("/ping")
    client.get("/nowhere")
    after = samples(client.get("/metrics").text)

    assert {
        name: value for name, value in (after - before).items() if name.startswith("http_requests_total")
    } == {
        counter("ping", 200): 1,
        counter("list_users", 400): 1,
        counter("create_user", 201): 1,
        counter("create_user", 400): 1,
        counter("get_user", 200): 1,
        counter("none", 404): 1,
        counter("none", 405): 1,
        counter("read_metrics", 200): 1,  # the first of both
    }


def test_each_response_is_timed(client: TestClient) -> None:
    before = samples(client.get("/metrics").text)

    for _ in range(3):
        client.get("/users")
    after = samples(client.get("/metrics").text)

    times = {
        name.partition("{")[2]: value
        for name, value in (after - before).items()
        if '"list_users",le=' in name
    }
    assert times['operation="list_users",le="+Inf"}'] == 3
    assert list(times.values()) == sorted(times.values())
    assert (after - before)['http_request_duration_seconds_count{operation="list_users"}'] == 3
    assert 0 < (after - before)['http_request_duration_seconds_sum{operation="list_users"}'] < 60


def test_requests_of_a_killed_worker_remain_counted(tmp_path: Path) -> None:
    with service(f"sqlite:///{tmp_path}/metrics.db") as running:
        until(lambda: running.output().count("Application startup complete.") == 2)
        clients = [httpx.Client(base_url=running.url) for _ in range(8)]
        before = samples(clients[0].get("/metrics").text)
        for client in clients:
            for _ in range(5):
                client.get("/ping")
        counted = [
            (samples(client.get("/metrics").text) - before)[counter("ping", 200)] for client in clients
        ]

        victim = psutil.Process(running.process.pid).children()[0].pid
        os.kill(victim, signal.SIGKILL)
        until(lambda: running.output().count("Application startup complete.") == 3)
        counted += [
            (samples(httpx.get(f"{running.url}/metrics").text) - before)[counter("ping", 200)]
            for _ in range(8)
        ]
        for client in clients:
            client.close()

    assert counted == [40] * 16
