"""What an operator watches: each request is counted once, whichever worker has answered it."""

import os
import re
import signal
from collections import Counter
from pathlib import Path

import httpx
import psutil
from starlette.testclient import TestClient

from tests.server import service
from tests.waiting import until

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="[^"]*",?)+)\})? ([0-9.e-]+)')
COMMENT = re.compile(r"# (HELP [a-z_]+ .+\.|TYPE [a-z_]+ (counter|histogram))")
USER = {"username": "michael", "email": "hermanmu@gmail.com"}


def samples(text: str) -> Counter[str]:
    """Return the samples of a page by their names and labels; anything else there is no metrics page."""
    found: Counter[str] = Counter()
    for line in text.splitlines():
        if sample := SAMPLE.fullmatch(line):
            found[line.rpartition(" ")[0]] = float(sample[3])
        else:
            assert COMMENT.fullmatch(line), line
    return found


def answers(operation: str, status: int) -> str:
    """Return the name of the counter of such answers."""
    return f'http_requests_total{{operation="{operation}",status="{status}"}}'


def test_the_page_is_prometheuss(client: TestClient) -> None:
    page = client.get("/metrics")

    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert page.text.endswith("\n")
    assert client.head("/metrics").headers["Content-Type"] == page.headers["Content-Type"]
    assert client.post("/metrics").status_code == 405


def test_each_answer_is_counted_by_operation_and_status(client: TestClient) -> None:
    before = samples(client.get("/metrics").text)

    client.get("/ping")
    client.get("/users?limit=0")
    client.post("/users", json=USER)
    client.post("/users", json=USER)
    client.head("/users/1")
    client.put("/ping")
    client.get("/nowhere")
    after = samples(client.get("/metrics").text)

    assert {name: value for name, value in (after - before).items() if name.startswith("http_requests_total")} == {
        answers("ping", 200): 1,
        answers("list_users", 400): 1,
        answers("create_user", 201): 1,
        answers("create_user", 400): 1,
        answers("get_user", 200): 1,
        answers("none", 404): 1,
        answers("none", 405): 1,
        answers("none", 200): 1,  # the first look at the metrics
    }


def test_each_answer_is_timed(client: TestClient) -> None:
    before = samples(client.get("/metrics").text)

    for _ in range(3):
        client.get("/users")
    after = samples(client.get("/metrics").text)

    times = {name.partition("{")[2]: value for name, value in (after - before).items() if '"list_users",le=' in name}
    assert times['operation="list_users",le="+Inf"}'] == 3
    assert list(times.values()) == sorted(times.values())
    assert (after - before)['http_request_duration_seconds_count{operation="list_users"}'] == 3
    assert 0 < (after - before)['http_request_duration_seconds_sum{operation="list_users"}'] < 60


def test_all_workers_are_counted_even_one_that_has_died(tmp_path: Path) -> None:
    with service(f"sqlite:///{tmp_path}/metrics.db") as running:
        until(lambda: running.output().count("Application startup complete.") == 2)
        callers = [httpx.Client(base_url=running.url) for _ in range(8)]
        before = samples(callers[0].get("/metrics").text)
        for caller in callers:
            for _ in range(5):
                caller.get("/ping")
        counted = [(samples(caller.get("/metrics").text) - before)[answers("ping", 200)] for caller in callers]

        victim = psutil.Process(running.process.pid).children()[0].pid
        os.kill(victim, signal.SIGKILL)
        until(lambda: running.output().count("Application startup complete.") == 3)
        counted += [(samples(httpx.get(f"{running.url}/metrics").text) - before)[answers("ping", 200)] for _ in range(8)]
        for caller in callers:
            caller.close()

    assert counted == [40] * 16
