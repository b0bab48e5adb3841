"""Traces: which requests are sampled, and which settings ask for them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.observability.conftest import Measured
from tests.support.collector import Collector, collecting
from tests.support.waiting import until
from users_api.observability import trace_settings
from users_api.observability.configuration import Logs
from users_api.observability.observer import TracedRequests
from users_api.observability.request_ids import current_request_id
from users_api.observability.request_log import RequestLog
from users_api.observability.statements import TracedStatements
from users_api.observability.trace_settings import (
    are_traces_enabled,
    sampling_ratio,
    shared_tracing,
    trace_problems,
)
from users_api.observability.traced_ids import TracedId, span_of, trace_of
from users_api.observability.tracing import HeaderGetter, Tracing

SCOPE = {"method": "GET", "scheme": "http", "http_version": "1.1"}
TRACE_ID, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACED = {ENDPOINT: "http://collector:4318"}


class NoLog(RequestLog):
    """A log for tests of traces."""

    def __init__(self) -> None:
        """Need nothing."""

    def write(self, requests: Any) -> None:
        """Write nothing."""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that OpenTelemetry's variables name."""
    with collecting() as running:
        monkeypatch.setenv(ENDPOINT, running.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield running


@pytest.fixture
def traced(collector: Collector, measured: Measured) -> Callable[[], TracedRequests]:
    """Returns a new observer that traces."""
    del collector
    return lambda: TracedRequests(measured.recorder, NoLog(), Tracing("users-api"))


def sampled(observer: TracedRequests, count: int) -> int:
    """Return how many of these requests without a caller are sampled."""
    return sum(isinstance(observer.choose_id(dict(SCOPE), ()), TracedId) for _ in range(count))


@pytest.mark.parametrize(
    ("sampler", "argument", "least", "most"),
    [
        ("parentbased_always_on", "", 2000, 2000),
        ("always_off", "", 0, 0),
        ("parentbased_traceidratio", "0.5", 850, 1150),
        ("traceidratio", "0.02", 8, 100),
        ("parentbased_traceidratio", "0.002", 0, 25),
    ],
)
def test_the_sampler_decides_for_each_request(  # noqa: PLR0913, PLR0917 -- fixtures and values.
    traced: Callable[[], TracedRequests],
    monkeypatch: pytest.MonkeyPatch,
    sampler: str,
    argument: str,
    least: int,
    most: int,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)

    assert least <= sampled(traced(), 2000) <= most


def test_a_rare_sample_has_the_right_rate(
    traced: Callable[[], TracedRequests], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.003")

    assert 100 < sampled(traced(), 60_000) < 270  # 180 are expected, with a deviation of 13.


def test_sampled_requests_have_different_traces(
    traced: Callable[[], TracedRequests], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    observer, traces = traced(), set()
    for _ in range(400):
        traces.add(trace_of(observer.choose_id(dict(SCOPE), ())))

    assert len(traces) > 130


@pytest.mark.parametrize("headers", [(), ((b"x-request-id", b"mine"),)])
def test_a_request_that_offers_an_id_is_sampled_like_any_other(
    traced: Callable[[], TracedRequests],
    monkeypatch: pytest.MonkeyPatch,
    headers: tuple[tuple[bytes, bytes], ...],
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.1")
    observer, count = traced(), 0
    for _ in range(5000):
        observer.choose_id(dict(SCOPE), () if headers else ((b"x-request-id", b"another"),))
        count += isinstance(observer.choose_id(dict(SCOPE), headers), TracedId)

    assert 400 < count < 600  # 500 are expected, with a deviation of 21.


def test_the_traces_of_callers_leave_the_sample_as_it_is(
    traced: Callable[[], TracedRequests], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.1")
    observer, count = traced(), 0
    of_caller = ((b"traceparent", f"00-{TRACE_ID}-{CALLER}-00".encode()),)
    for _ in range(5000):
        assert span_of(observer.choose_id(dict(SCOPE), of_caller)) is None
        count += isinstance(observer.choose_id(dict(SCOPE), ()), TracedId)

    assert 400 < count < 600


def test_a_caller_is_asked_before_the_sampler(
    traced: Callable[[], TracedRequests], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    observer = traced()

    chosen = [
        observer.choose_id(dict(SCOPE), [(b"traceparent", f"00-{TRACE_ID}-{CALLER}-{flags}".encode())])
        for flags in ("01", "00")
    ]

    assert [trace_of(each) for each in chosen] == [TRACE_ID, TRACE_ID]
    assert [span_of(each) is not None for each in chosen] == [True, False]


def test_statements_of_requests_that_are_not_sampled_have_no_span(
    traced: Callable[[], TracedRequests], collector: Collector, measured: Measured
) -> None:
    observer = traced()
    tracing = observer._tracing  # noqa: SLF001 -- the statements need the same one.
    statements = TracedStatements("postgresql", measured.recorder, tracing)
    for request_id in (b"plain", observer.choose_id(dict(SCOPE), ())):
        token = current_request_id.set(request_id)
        statements.end((("SELECT", "users", ""), 1000))
        assert ("traceparent" in statements.comment()) == isinstance(request_id, TracedId)
        current_request_id.reset(token)

    until(lambda: len(collector.named("SELECT users")) > 0)
    assert len(collector.named("SELECT users")) == 1
    assert statements.comment() == ""


def test_a_client_that_disconnects_is_an_error_without_a_status(
    traced: Callable[[], TracedRequests], collector: Collector
) -> None:
    observer, scope = traced(), dict(SCOPE)
    caller = ((b"traceparent", f"00-{TRACE_ID}-{CALLER}-00".encode()),)
    for request_id in (observer.choose_id(scope, ()), observer.choose_id(scope, caller), b"not traced"):
        observer.end((request_id, None, "GET", "http", 0, 0, 1, 2, None))
    observer.flush()

    until(lambda: len(collector.named("GET")) > 0)
    (span,) = collector.named("GET")
    assert (span.is_error, span.attributes["error.type"]) == (True, "client_disconnected")
    assert "http.response.status_code" not in span.attributes


def test_a_statement_that_fails_is_an_error(
    traced: Callable[[], TracedRequests], collector: Collector, measured: Measured
) -> None:
    observer = traced()
    statements = TracedStatements("sqlite", measured.recorder, observer._tracing)  # noqa: SLF001 -- as above.
    token = current_request_id.set(observer.choose_id(dict(SCOPE), ()))
    statements.end((("BEGIN", "", "TimeoutError"), 1000))
    assert statements.comment() == ""
    current_request_id.reset(token)

    until(lambda: len(collector.named("BEGIN")) == 1)
    (span,) = collector.named("BEGIN")
    assert (span.is_error, span.attributes["error.type"]) == (True, "TimeoutError")
    assert "db.collection.name" not in span.attributes


def test_the_headers_of_a_request_are_read_for_the_propagator() -> None:
    headers = [(b"traceparent", b"a"), (b"tracestate", b"b"), (b"tracestate", b"c")]

    assert HeaderGetter().keys(headers) == ["traceparent", "tracestate", "tracestate"]
    assert HeaderGetter().get(headers, "tracestate") == ["b", "c"]
    assert HeaderGetter().get(headers, "baggage") is None


def test_the_logs_make_an_observer_that_traces(collector: Collector) -> None:
    assert collector.url
    assert isinstance(Logs("json").observer(Tracing(None)), TracedRequests)


@pytest.mark.parametrize(
    ("variables", "enabled"),
    [
        ({}, False),
        ({ENDPOINT: ""}, False),
        ({ENDPOINT: "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", ENDPOINT: "http://x"}, False),
        ({"OTEL_SDK_DISABLED": "TRUE", ENDPOINT: "http://x"}, False),
        ({"OTEL_SDK_DISABLED": "false", ENDPOINT: "http://x"}, True),
        ({"OTEL_SERVICE_NAME": "x"}, False),
    ],
)
def test_the_variables_that_ask_for_traces(variables: dict[str, str], *, enabled: bool) -> None:
    assert are_traces_enabled(variables) is enabled


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "users-api"),
        ({"OTEL_SERVICE_NAME": "directory"}, "directory"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=b,service.name=people"}, "people"),
    ],
)
def test_the_variables_may_name_the_service(
    collector: Collector,
    measured: Measured,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    name: str,
) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(trace_settings, "shared_tracing", shared_tracing.__wrapped__)
    tracing = trace_settings.shared_tracing()
    assert tracing
    observer, scope = TracedRequests(measured.recorder, NoLog(), tracing), dict(SCOPE)

    observer.end((observer.choose_id(scope, ()), None, "GET", "http", 200, 0, 1, 2, None))
    observer.flush()

    until(lambda: len(collector.spans) == 1)
    assert collector.spans[0].service == name


def test_without_variables_nothing_is_traced() -> None:
    assert shared_tracing() is None


def test_other_values_are_problems() -> None:
    (problem,) = trace_problems({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})

    assert problem == "OTEL_EXPORTER_OTLP_PROTOCOL must be `http/protobuf`, not 'grpc'"


@pytest.mark.parametrize(
    ("sampler", "argument", "ratio"),
    [
        ("", "", 1),
        ("ALWAYS_ON", "0.2", 1),
        ("parentbased_always_off", "0.2", 0),
        ("traceidratio", "0.2", 0.2),
        ("parentbased_traceidratio", "1e-3", 0.001),
        ("traceidratio", "", 1),
    ],
)
def test_the_ratio_is_that_of_the_variables(sampler: str, argument: str, ratio: float) -> None:
    variables = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}

    assert sampling_ratio(variables) == ratio
    assert list(trace_problems(TRACED | variables)) == []


@pytest.mark.parametrize("ratio", ["1 %", "1.5", "-1", "nan"])
def test_a_ratio_that_is_none_is_a_problem(ratio: str) -> None:
    variables = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": ratio}
    (problem,) = trace_problems(TRACED | variables)

    assert problem == f"OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1, not {ratio!r}"


def test_a_sampler_of_another_name_is_a_problem() -> None:
    (problem,) = trace_problems(TRACED | {"OTEL_TRACES_SAMPLER": "sometimes"})

    assert problem.startswith("OTEL_TRACES_SAMPLER must be `always_on` or `always_off` or ")


def test_a_service_that_does_not_trace_ignores_the_sampler() -> None:
    assert list(trace_problems({"OTEL_TRACES_SAMPLER": "sometimes", "OTEL_TRACES_SAMPLER_ARG": "x"})) == []


def test_supported_values_are_no_problem() -> None:
    supported = {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_PROPAGATORS": "",
    }

    assert list(trace_problems(supported)) == []
