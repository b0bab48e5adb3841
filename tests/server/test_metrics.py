"""Metrics in shared memory: any operation, any status, any number of workers."""

import asyncio
import os
from types import SimpleNamespace
from typing import Any

import pytest

from users_api.server import metrics
from users_api.server.metrics import (
    Metrics,
    MetricsMiddleware,
    SharedCounters,
)

MILLISECOND = 1_000_000


@pytest.fixture
def small_counters(monkeypatch: pytest.MonkeyPatch) -> SharedCounters:
    """Counters with room for one operation and a few statuses."""
    monkeypatch.setattr(metrics, "ROW_BYTES", 8 * 48)
    counters = SharedCounters()
    monkeypatch.setattr(metrics, "shared_counters", lambda: counters)
    return counters


def requests(text: str) -> list[str]:
    """Return the samples of the request counter, without its name."""
    name = "http_requests_total"
    return [line.removeprefix(name) for line in text.splitlines() if line.startswith(name)]


@pytest.mark.usefixtures("counters")
def test_the_page_is_in_prometheuss_text_format() -> None:
    counted = Metrics(["get_user", "ping"])
    counted.add("ping", 200, MILLISECOND)
    counted.add("ping", 200, 30 * MILLISECOND)
    counted.add("ping", 0, 20_000 * MILLISECOND)

    assert (
        counted.text()
        == """\
# HELP http_requests_total Requests by operation and response status; 0 is a client that disconnected first.
# TYPE http_requests_total counter
http_requests_total{operation="ping",status="0"} 1
http_requests_total{operation="ping",status="200"} 2
# HELP http_request_duration_seconds Time from a request's head to the end of its response.
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{operation="ping",le="0.001"} 1
http_request_duration_seconds_bucket{operation="ping",le="0.0025"} 1
http_request_duration_seconds_bucket{operation="ping",le="0.005"} 1
http_request_duration_seconds_bucket{operation="ping",le="0.01"} 1
http_request_duration_seconds_bucket{operation="ping",le="0.025"} 1
http_request_duration_seconds_bucket{operation="ping",le="0.05"} 2
http_request_duration_seconds_bucket{operation="ping",le="0.1"} 2
http_request_duration_seconds_bucket{operation="ping",le="0.25"} 2
http_request_duration_seconds_bucket{operation="ping",le="0.5"} 2
http_request_duration_seconds_bucket{operation="ping",le="1.0"} 2
http_request_duration_seconds_bucket{operation="ping",le="2.5"} 2
http_request_duration_seconds_bucket{operation="ping",le="5.0"} 2
http_request_duration_seconds_bucket{operation="ping",le="10.0"} 2
http_request_duration_seconds_bucket{operation="ping",le="+Inf"} 3
http_request_duration_seconds_sum{operation="ping"} 20.031
http_request_duration_seconds_count{operation="ping"} 3
"""
    )


@pytest.mark.usefixtures("counters")
def test_every_status_is_counted_separately() -> None:
    counted = Metrics(["ping"])

    for status in range(100, 600):
        counted.add("ping", status, MILLISECOND)

    assert requests(counted.text()) == [
        f'{{operation="ping",status="{status}"}} 1' for status in range(100, 600)
    ]


@pytest.mark.usefixtures("counters")
def test_a_thousand_operations_are_counted_apart() -> None:
    names = [f"operation_{number}" for number in range(1000)]
    counted = Metrics(names)

    for number, name in enumerate(names):
        counted.add(name, 200 + number % 5, MILLISECOND)

    assert requests(counted.text()) == [
        f'{{operation="{name}",status="{200 + number % 5}"}} 1' for number, name in enumerate(names)
    ]


@pytest.mark.usefixtures("counters")
def test_a_label_may_contain_any_character() -> None:
    counted = Metrics(['a"b\\c\nd'])

    counted.add('a"b\\c\nd', 200, MILLISECOND)

    assert requests(counted.text()) == ['{operation="a\\"b\\\\c\\nd",status="200"} 1']


def test_a_few_operations_take_one_page_of_memory(counters: SharedCounters) -> None:
    counted = Metrics(map(str, range(9)))

    for operation in range(9):
        for status in (200, 201, 400, 404, 500):
            counted.add(str(operation), status, MILLISECOND)

    assert not any(counters.row.cells[os.sysconf("SC_PAGE_SIZE") // 8 :])


def test_the_workers_are_counted_together(counters: SharedCounters) -> None:
    counted = Metrics(["ping"])
    for slot in (0, 1, 511):
        counters.claim(slot)
        counted.add("ping", 200, MILLISECOND)

    assert requests(counted.text()) == ['{operation="ping",status="200"} 3']


def test_a_slot_continues_where_its_last_worker_ended(counters: SharedCounters) -> None:
    counted = Metrics(["ping", "get_user"])
    counters.claim(7)
    counted.add("ping", 200, MILLISECOND)
    counters.claim(7)
    counted.add("get_user", 404, MILLISECOND)
    counted.add("ping", 200, MILLISECOND)

    assert requests(counted.text()) == [
        '{operation="ping",status="200"} 2',
        '{operation="get_user",status="404"} 1',
    ]


def test_a_child_process_counts_into_the_memory_of_its_parent(counters: SharedCounters) -> None:
    counted = Metrics(["ping"])
    child = os.fork()
    if not child:  # pragma: no cover -- coverage does not see it leave.
        counters.claim(1)
        counted.add("ping", 204, MILLISECOND)
        os._exit(0)
    os.waitpid(child, 0)

    assert requests(counted.text()) == ['{operation="ping",status="204"} 1']


def test_workers_with_another_document_are_counted_by_name(counters: SharedCounters) -> None:
    old, new = Metrics(["ping", "get_user"]), Metrics(["list_users", "ping"])
    old.add("ping", 200, MILLISECOND)
    old.add("get_user", 200, MILLISECOND)
    counters.claim(1)
    new.add("ping", 200, MILLISECOND)

    assert requests(new.text()) == ['{operation="ping",status="200"} 2']


@pytest.mark.usefixtures("small_counters")
def test_a_full_row_ignores_further_counters() -> None:
    counted = Metrics(["ping", "get_user"])

    for status in range(200, 220):
        counted.add("ping", status, MILLISECOND)
    counted.add("get_user", 200, MILLISECOND)

    assert requests(counted.text()) == [
        f'{{operation="ping",status="{status}"}} 1' for status in range(200, 208)
    ]
    assert 'seconds_count{operation="ping"} 20\n' in counted.text()
    assert "get_user" not in counted.text()


@pytest.mark.usefixtures("counters")
def test_two_operations_with_one_hash_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "HASH_BYTES", 1)

    with pytest.raises(ValueError, match="rename one of them"):
        Metrics(map(str, range(257)))


async def respond(scope: Any, _receive: Any, send: Any) -> None:
    """Respond with a non-standard status."""
    scope["operation"] = SimpleNamespace(metric_name="brew", index=0)
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def leave(_scope: Any, _receive: Any, _send: Any) -> None:
    """Send nothing, as after a disconnect."""


async def fail(_scope: Any, _receive: Any, _send: Any) -> None:
    """Raise before a response."""
    raise LookupError


async def fail_before_the_body(_scope: Any, _receive: Any, send: Any) -> None:
    """Raise after the head of a response, which the server has not sent yet."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise LookupError


async def fail_late(_scope: Any, _receive: Any, send: Any) -> None:
    """Raise after the first piece of a response's body."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x", "more_body": True})
    raise LookupError


@pytest.mark.usefixtures("counters")
@pytest.mark.parametrize(
    ("app", "sample"),
    [
        (respond, '{operation="brew",status="418"} 1'),
        (leave, '{operation="none",status="0"} 1'),
        (fail, '{operation="none",status="500"} 1'),
        (fail_before_the_body, '{operation="none",status="500"} 1'),
        (fail_late, '{operation="none",status="200"} 1'),
    ],
)
def test_a_request_is_counted_by_its_operation_and_response(app: Any, sample: str) -> None:
    counted = Metrics(["brew"])

    async def send(_message: Any) -> None:
        """Take the message."""

    if app in {fail, fail_before_the_body, fail_late}:
        with pytest.raises(LookupError):
            asyncio.run(MetricsMiddleware(app, counted)({"type": "http"}, None, send))
    else:
        asyncio.run(MetricsMiddleware(app, counted)({"type": "http"}, None, send))

    assert requests(counted.text()) == [sample]


@pytest.mark.usefixtures("counters")
def test_the_lifespan_is_not_counted() -> None:
    counted = Metrics([])

    asyncio.run(MetricsMiddleware(leave, counted)({"type": "lifespan"}, None, None))

    assert requests(counted.text()) == []
