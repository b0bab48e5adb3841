"""Measurements of all workers, as Prometheus reads them."""

import asyncio
import re
from collections.abc import Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.observability.conftest import Measured
from tests.support.virtual_time import run_in_virtual_time
from users_api.observability import recorder
from users_api.observability.cells import SharedCells
from users_api.observability.exposition import Metrics
from users_api.observability.instruments import (
    BLOCKING_CALLS,
    BUILD_INFO,
    CONNECTIONS,
    INSTRUMENTS,
    LOOP_LAG,
    REQUESTS_IN_FLIGHT,
)
from users_api.observability.observer import RequestObserver
from users_api.observability.pools import add_pool_gauges
from users_api.observability.recorder import (
    BUCKET_NANOSECONDS,
    SUM_CELL,
    Recorder,
    end_worker,
    start_worker,
)
from users_api.observability.request_log import RequestLog
from users_api.observability.requests import Ended
from users_api.observability.sampler import Sampler
from users_api.observability.statements import ReportedStatements

MILLISECOND = 1_000_000
REQUESTS = "http_server_request_duration_seconds_count"
STATEMENTS = "db_client_operation_duration_seconds_count"


class Operation:
    """An operation of a document."""

    def __init__(self, name: str) -> None:
        self.metric_name, self.whole_path = name, f"/{name}"


class NoLog(RequestLog):
    """A log for tests of measurements."""

    def __init__(self) -> None:
        """Need nothing."""

    def write(self, requests: Sequence[Ended]) -> None:
        """Write nothing."""


def observer_of(measured: Measured) -> RequestObserver:
    """Return a new observer."""
    return RequestObserver(measured.recorder, NoLog())


def report(
    observer: RequestObserver, status: int, operation: Any = None, method: str = "GET", scheme: str = "http"
) -> None:
    """Report a request."""
    observer.end((b"id", operation, method, scheme, status, 5, 0, MILLISECOND, None))
    observer.flush()


@pytest.fixture
def shared(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> Measured:
    """Measurements that the functions for workers use."""
    monkeypatch.setattr(recorder, "shared_cells", lambda: measured.cells)
    return measured


def test_the_page_is_in_prometheuss_text_format(measured: Measured) -> None:
    lag = measured.recorder.histogram(LOOP_LAG, lambda _: ())
    for nanoseconds in (MILLISECOND, 30 * MILLISECOND, 20_000 * MILLISECOND):
        lag.record([nanoseconds], None)

    assert (
        Metrics(measured.cells).text().decode()
        == """\
# HELP event_loop_lag_seconds How late the event loop of a worker runs what is due.
# TYPE event_loop_lag_seconds histogram
event_loop_lag_seconds_bucket{le="0.001"} 1.0
event_loop_lag_seconds_bucket{le="0.0025"} 1.0
event_loop_lag_seconds_bucket{le="0.005"} 1.0
event_loop_lag_seconds_bucket{le="0.01"} 1.0
event_loop_lag_seconds_bucket{le="0.025"} 1.0
event_loop_lag_seconds_bucket{le="0.05"} 2.0
event_loop_lag_seconds_bucket{le="0.1"} 2.0
event_loop_lag_seconds_bucket{le="0.25"} 2.0
event_loop_lag_seconds_bucket{le="0.5"} 2.0
event_loop_lag_seconds_bucket{le="1.0"} 2.0
event_loop_lag_seconds_bucket{le="2.5"} 2.0
event_loop_lag_seconds_bucket{le="5.0"} 2.0
event_loop_lag_seconds_bucket{le="10.0"} 2.0
event_loop_lag_seconds_bucket{le="+Inf"} 3.0
event_loop_lag_seconds_count 3.0
event_loop_lag_seconds_sum 20.031
"""
    )


@given(st.lists(st.integers(0, 2**40) | st.sampled_from(BUCKET_NANOSECONDS), min_size=1))
def test_durations_are_counted_together_as_one_by_one(durations: list[int]) -> None:
    cells = SharedCells()
    histogram = Recorder(cells).histogram(LOOP_LAG, lambda key: (key,))
    for duration in durations:
        histogram.record_soon(("together", duration))
        histogram.record([duration], "one by one")
    histogram.flush()

    together, alone = (
        list(cells.row.cells[histogram[key] : histogram[key] + SUM_CELL])
        for key in ("together", "one by one")
    )
    assert (
        together
        == alone
        == [
            sum(low < duration <= bound for duration in durations)
            for low, bound in pairwise((-1, *BUCKET_NANOSECONDS))
        ]
    )
    assert cells.row.cells[histogram["together"] + SUM_CELL] == sum(durations) // 1000


def test_an_empty_page_has_no_metrics(measured: Measured) -> None:
    assert Metrics(measured.cells).text() == b""


def test_every_instrument_has_a_name_of_prometheus_and_a_sentence() -> None:
    for name, instrument in INSTRUMENTS.items():
        assert re.fullmatch(r"[a-z_]+", name)
        assert instrument.description.endswith(".")
        assert not name.endswith("_total"), "The client appends it."


def test_the_workers_are_counted_together(measured: Measured) -> None:
    for slot in (0, 1, 511):
        measured.cells.claim(slot)
        measured.recorder.count(BLOCKING_CALLS, "list_users")

    assert measured.counts("event_loop_blocking_calls_total") == ['{operation="list_users"} 3.0']


def test_a_histogram_follows_its_process_to_another_row(measured: Measured) -> None:
    lag = measured.recorder.histogram(LOOP_LAG, lambda _: ())
    for slot in (0, 3, 0):
        measured.cells.claim(slot)
        lag.record([MILLISECOND], None)

    assert measured.counts("event_loop_lag_seconds_count") == [" 3.0"]


def test_what_a_worker_counted_outlives_it_but_not_its_gauges(shared: Measured) -> None:
    start_worker(5)
    shared.recorder.add_gauge(CONNECTIONS, lambda: 9)
    shared.recorder.add_gauge(BUILD_INFO, lambda: 1, "2.0.0", "3.13")
    shared.recorder.sample()
    shared.recorder.count(BLOCKING_CALLS, "ping")

    end_worker(5)

    assert shared.lines() == [
        "http_server_connections 0.0",
        'event_loop_blocking_calls_total{operation="ping"} 1.0',
        'users_api_build_info{python_version="3.13",version="2.0.0"} 0.0',
    ]


def test_a_series_of_another_version_is_left_alone(shared: Measured) -> None:
    start_worker(1)
    shared.cells.row.cells[shared.cells.row.allocate(("of_the_next_version", "x"), 1)] = 3

    end_worker(1)

    assert shared.lines() == []


def test_gauges_are_those_of_the_last_sample_over_all_workers(measured: Measured) -> None:
    measured.recorder.add_gauge(CONNECTIONS, lambda: 5)
    measured.recorder.add_gauge(CONNECTIONS, lambda: 2)  # A new observer replaces the old one.
    measured.recorder.add_gauge(BUILD_INFO, lambda: 1, "2.0.0", "3.13")
    for slot in (0, 1):
        measured.cells.claim(slot)
        measured.recorder.sample()
        measured.recorder.sample()

    assert measured.counts("http_server_connections") == [" 4.0"]
    assert measured.counts("users_api_build_info") == ['{python_version="3.13",version="2.0.0"} 1.0']


def test_requests_have_the_labels_of_opentelemetry(measured: Measured) -> None:
    observer = observer_of(measured)
    ping = Operation("ping")
    report(observer, 200, operation=ping)
    report(observer, 200, operation=ping)
    report(observer, 503, operation=ping, method="HEAD", scheme="https")
    report(observer, 404, method="PROPFIND")
    report(observer, 0, operation=ping)

    counted = [re.findall(r'"([^"]*)"', line) for line in measured.counts(REQUESTS)]
    assert re.findall(r"(\w+)=", measured.counts(REQUESTS)[0]) == [
        "error_type",
        "http_request_method",
        "http_response_status_code",
        "http_route",
        "operation",
        "url_scheme",
    ]
    assert counted == [
        ["", "_OTHER", "404", "", "", "http"],
        ["client_disconnected", "GET", "", "/ping", "ping", "http"],
        ["", "GET", "200", "/ping", "ping", "http"],
        ["503", "HEAD", "503", "/ping", "ping", "https"],
    ]
    assert [line.rpartition(" ")[2] for line in measured.counts(REQUESTS)] == ["1.0", "1.0", "2.0", "1.0"]


def test_requests_in_flight_and_connections_are_counted_up_and_down(measured: Measured) -> None:
    observer = observer_of(measured)
    tasks: set[int] = set()

    async def main() -> None:
        observer.connect(tasks)
        observer.connect(tasks)
        tasks.update({1, 2, 3})
        tasks.discard(1)

    asyncio.run(main())
    observer.disconnect()
    observer.reject([], 431, 0)

    measured.recorder.sample()

    assert measured.counts(REQUESTS_IN_FLIGHT.name) == [" 2.0"]
    assert measured.counts(CONNECTIONS.name) == [" 1.0"]
    assert measured.counts("http_server_rejected_requests_total") == ['{http_response_status_code="431"} 1.0']


def test_statements_have_the_labels_of_opentelemetry(measured: Measured) -> None:
    statements = ReportedStatements("postgresql", measured.recorder)
    statements.end((("SELECT", "users", ""), MILLISECOND))
    statements.end((("SELECT", "users", ""), MILLISECOND))
    statements.end((("UPDATE", "users", "40P01"), MILLISECOND))
    statements.end((("UPDATE", "", "TimeoutError"), MILLISECOND))
    measured.recorder.flush()
    measured.recorder.flush()

    assert [line.partition('db_operation_name="')[2] for line in measured.counts(STATEMENTS)] == [
        'SELECT",db_system_name="postgresql",error_type=""} 2.0',
        'UPDATE",db_system_name="postgresql",error_type="TimeoutError"} 1.0',
        'UPDATE",db_system_name="postgresql",error_type="40P01"} 1.0',
    ]


def test_every_status_and_a_thousand_operations_are_counted_apart(measured: Measured) -> None:
    observer = observer_of(measured)
    for number in range(1000):
        report(observer, 100 + number % 500, operation=Operation(f"operation_{number}"))

    counts = measured.counts(REQUESTS)

    assert len(counts) == 1000
    assert all(line.endswith("} 1.0") for line in counts)


def test_a_declared_counter_is_zero(measured: Measured) -> None:
    measured.recorder.declare(BLOCKING_CALLS, "ping")

    assert measured.lines() == ['event_loop_blocking_calls_total{operation="ping"} 0.0']


def test_a_label_is_escaped(measured: Measured) -> None:
    measured.recorder.count(BLOCKING_CALLS, 'a"b\\c\nd')

    assert measured.lines() == ['event_loop_blocking_calls_total{operation="a\\"b\\\\c\\nd"} 1.0']


def test_the_state_of_a_pool_is_that_of_the_pool_that_the_engine_has_now(measured: Measured) -> None:
    def pool(used: int) -> SimpleNamespace:
        return SimpleNamespace(checkedout=lambda: used, checkedin=lambda: 8 - used, size=lambda: 8, waiting=3)

    engine = SimpleNamespace(pool=pool(1))
    add_pool_gauges(measured.recorder, engine)
    engine.pool = pool(5)

    measured.recorder.sample()

    assert measured.lines() == [
        'db_client_connections{state="idle"} 3.0',
        'db_client_connections{state="used"} 5.0',
        "db_client_connections_max 8.0",
        "db_client_connections_pending_requests 3.0",
    ]


def test_a_pool_without_a_limit_has_no_gauges(measured: Measured) -> None:
    add_pool_gauges(measured.recorder, SimpleNamespace(pool=SimpleNamespace()))

    measured.recorder.sample()

    assert measured.lines() == []


def test_gauges_are_sampled_twice_a_second_until_the_end(measured: Measured) -> None:
    seen: list[float] = []

    async def main() -> None:
        measured.recorder.add_gauge(CONNECTIONS, lambda: seen.append(asyncio.get_running_loop().time()) or 1)
        sampler = Sampler(measured.recorder)
        await asyncio.sleep(2.2)
        sampler.stop()
        await asyncio.sleep(10)

    run_in_virtual_time(main())

    assert [moment - seen[0] for moment in seen] == [0, 0.5, 1, 1.5, 2]
    assert measured.counts("event_loop_lag_seconds_count") == [" 4.0"]
    assert measured.counts("event_loop_lag_seconds_sum") == [" 0.0"]


def test_a_late_event_loop_is_measured(measured: Measured) -> None:
    class Loop(asyncio.SelectorEventLoop):
        late = 0.0

        def time(self) -> float:
            return super().time() + self.late

    async def main() -> None:
        sampler = Sampler(measured.recorder)
        asyncio.get_running_loop().late = 3.0  # type: ignore[attr-defined]
        await asyncio.sleep(0.01)
        sampler.stop()

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())

    (total,) = measured.counts("event_loop_lag_seconds_sum")
    assert 2 < float(total) < 3
