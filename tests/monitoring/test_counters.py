"""Prometheus scrapes a service under load while workers are killed: no counter ever decreases."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import psutil
import pytest

from tests.monitoring.load import Answer, Load, load
from tests.support.postgres import PostgreSQL
from tests.support.service import Service, service
from tests.support.waiting import until
from tools.dashboard.prometheus import Prometheus, prometheus, target
from users_api.observability.observer import FLUSH_SECONDS

STARTED = "Application startup complete."
COUNTERS = '{__name__=~".+_(total|count|sum|bucket)", job="users"}'


class Kill(NamedTuple):
    """When a worker was killed."""

    before: float
    after: float


@pytest.fixture
def running(postgres: PostgreSQL) -> Iterator[Service]:
    """A service with two workers."""
    with service(postgres.create("users_killed")) as running:
        until(lambda: running.output().count(STARTED) == 2)
        yield running


def kill_a_worker(running: Service, load: Load) -> Kill:
    """Kill a worker under load, and return when its successor has started and the load has gone on."""
    starts = running.output().count(STARTED)
    victim = psutil.Process(running.process.pid).children()[0]
    before = time.monotonic()
    os.kill(victim.pid, signal.SIGKILL)
    after = time.monotonic()
    until(lambda: running.output().count(STARTED) == starts + 1)
    restarted = time.monotonic()
    until(lambda: load.has_gone_on(restarted))
    return Kill(before, after)


def stored(server: Prometheus) -> Counter[str]:
    """Return the requests of each loaded operation that Prometheus knows."""
    query = (
        'sum by (operation) (http_server_request_duration_seconds_count{operation=~"create_user|list_users"})'
    )
    return Counter({each.labels["operation"]: int(each.points[0][1]) for each in server.query(query)})


def doubtful(answer: Answer, kills: list[Kill]) -> bool:
    """Return whether the response may have ended too late before a kill to be counted.

    The worker counts what has ended every FLUSH_SECONDS, or later by as much as a busy event loop also
    delays the request itself.
    """
    late = FLUSH_SECONDS + (answer.ended - answer.began)
    return any(answer.began < kill.after and answer.ended > kill.before - late for kill in kills)


def test_no_counter_decreases_while_workers_are_killed(running: Service) -> None:
    with prometheus(target(running.port)) as server:
        with load(running.url) as requests:
            until(lambda: requests.has_gone_on(0) and stored(server).total() > 0)
            kills = [kill_a_worker(running, requests) for _ in range(2)]
        names = {each.labels["__name__"] for each in server.query(f"count by (__name__) ({COUNTERS})")}
        changes = {name: server.query(f'resets({name}{{job="users"}}[5m])') for name in names}
        gone = {
            name: server.query(f'last_over_time({name}[5m]) unless {name}{{job="users"}}') for name in names
        }
        assert {each.points[0][1] for series in changes.values() for each in series} == {0}
        sure = Counter(each.operation for each in requests.answers if not doubtful(each, kills))
        until(lambda: stored(server) >= sure)
        found = stored(server)

    assert {"http_server_request_duration_seconds_count", "event_loop_lag_seconds_sum"} <= names
    assert {name: series for name, series in gone.items() if series} == {}
    assert sure.total() > 100
    assert found.total() <= next(requests.sent)
