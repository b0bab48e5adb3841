"""A collector receives a span for each request and for each statement."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import psycopg2
import pytest

from tests.support.collector import Collector, ReceivedSpan, collecting
from tests.support.postgres import PostgreSQL
from tests.support.service import Service, failed_start, service
from tests.support.waiting import until

SERVER, CLIENT = 2, 3
TRACE_ID, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
FAST = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
"""Sends spans after 50 ms instead of 5 s."""


@contextmanager
def traced(url: str, **settings: str) -> Iterator[tuple[Service, Collector]]:
    """Run a service that sends its traces to a collector."""
    with collecting() as collector:
        traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url} | FAST | settings
        with service(url, **traces) as running:
            yield running, collector


def spans(collector: Collector, name: str, count: int = 1) -> list[ReceivedSpan]:
    """Return the spans with this name as soon as there are so many."""
    until(lambda: len(collector.named(name)) >= count)
    return collector.named(name)


def test_a_request_is_followed_from_its_caller_to_its_statement(postgres: PostgreSQL) -> None:
    with postgres.temporary("traces") as url:
        with closing(psycopg2.connect(postgres.url("postgres"))) as connection:  # A pooler keeps sessions.
            connection.autocommit = True
            name = url.rpartition("/")[2]
            connection.cursor().execute(f"ALTER DATABASE {name} SET log_statement = 'all'")
        with traced(url) as (running, collector):
            headers = {
                "traceparent": f"00-{TRACE_ID}-{CALLER}-01",
                "tracestate": "vendor=1",
                "X-Request-ID": "followed-1",
            }
            response = httpx.get(f"{running.url}/users/7", headers=headers)
            (request,) = spans(collector, "GET /users/{user_id}")
            (statement,) = spans(collector, "SELECT users")
            until(lambda: '"request_id":"followed-1"' in running.output())
            (line,) = [each for each in running.output().splitlines() if "followed-1" in each]
        logged = (postgres.folder / "log").read_text()

    assert response.headers["X-Request-ID"] == "followed-1"
    assert (request.trace_id, request.parent_id, request.kind) == (TRACE_ID, CALLER, SERVER)
    assert (statement.trace_id, statement.parent_id, statement.kind) == (TRACE_ID, request.span_id, CLIENT)
    assert request.start <= statement.start <= statement.end <= request.end
    assert request.attributes == {
        "http.request.method": "GET",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "http.route": "/users/{user_id}",
        "http.response.status_code": 404,
        "http.response.body.size": len(response.content),
    }
    assert statement.attributes == {
        "db.system.name": "postgresql",
        "db.operation.name": "SELECT",
        "db.collection.name": "users",
        "db.query.summary": "SELECT users",
    }
    assert request.service == "users-api"
    assert f'"trace_id":"{TRACE_ID}"' in line
    assert f"/*request_id='followed-1',traceparent='00-{TRACE_ID}-{request.span_id}-01'*/" in logged


def test_without_a_caller_a_trace_begins(tmp_path: Path) -> None:
    with traced(f"sqlite:///{tmp_path}/traces.db", OTEL_SERVICE_NAME="directory") as (running, collector):
        httpx.get(f"{running.url}/users?email=ada@example.org")
        httpx.get(f"{running.url}/secret/ada@example.org?q=ada")
        (request,) = spans(collector, "GET /users")
        (unknown,) = spans(collector, "GET")

    assert (request.parent_id, request.service) == ("", "directory")
    assert re.fullmatch(r"[0-9a-f]{32}", request.trace_id)
    assert unknown.attributes["http.response.status_code"] == 404
    assert "ada" not in repr(collector.spans)


def test_a_caller_that_does_not_sample_decides(tmp_path: Path) -> None:
    with traced(f"sqlite:///{tmp_path}/traces.db") as (running, collector):
        unsampled = {"traceparent": f"00-{TRACE_ID}-{CALLER}-00", "X-Request-ID": "unsampled"}
        httpx.get(f"{running.url}/users", headers=unsampled)
        httpx.get(f"{running.url}/ping")
        spans(collector, "GET /ping")
        until(lambda: "unsampled" in running.output())

        assert collector.named("GET /users") == []
        assert f'"trace_id":"{TRACE_ID}"' in running.output()


def test_the_standard_variables_choose_how_many_requests_are_sampled(tmp_path: Path) -> None:
    sampler = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.2"}
    with traced(f"sqlite:///{tmp_path}/traces.db", **sampler) as (running, collector):
        with httpx.Client(base_url=running.url) as client:
            for _ in range(300):
                client.get("/ping")
            sampled = {"traceparent": f"00-{TRACE_ID}-{CALLER}-01"}
            client.get("/users", headers=sampled)
        spans(collector, "GET /users")

    assert 15 < len(collector.named("GET /ping")) < 120  # 60 are expected, with a deviation of 7.


def test_failures_are_marked(postgres: PostgreSQL) -> None:
    with postgres.temporary("traces") as url, traced(url) as (running, collector):
        with closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            connection.cursor().execute("ALTER TABLE users RENAME TO away")
        httpx.get(f"{running.url}/users/7")
        (request,) = spans(collector, "GET /users/{user_id}")
        (statement,) = spans(collector, "SELECT users")

    assert (request.is_error, request.attributes["error.type"]) == (True, "503")
    assert (statement.is_error, statement.attributes["error.type"]) == (True, "42P01")
    assert statement.attributes["db.response.status_code"] == "42P01"


def test_a_collector_that_is_down_delays_no_request(tmp_path: Path) -> None:
    nowhere = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"} | FAST
    with service(f"sqlite:///{tmp_path}/traces.db", **nowhere) as running, httpx.Client() as client:
        assert [client.get(f"{running.url}/ping").status_code for _ in range(20)] == [200] * 20


def test_requests_that_are_not_http_are_answered_as_without_traces(tmp_path: Path) -> None:
    with traced(f"sqlite:///{tmp_path}/traces.db") as (running, _):
        response = httpx.get(f"{running.url}/", headers={"Host": ""})

    assert response.status_code in {307, 400, 421}
    assert response.headers["X-Request-ID"]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
    ],
)
def test_without_the_variables_nothing_of_opentelemetry_is_imported(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    program = (
        "import sys, users_api.gunicorn_conf; from users_api.app import create_app; create_app().build();"
        "print([name for name in sys.modules if 'opentelemetry' in name or name == 'redis'])"
    )
    settings = {
        "APP_SETTINGS": "users_api.config.ProductionConfig",
        "AUTH": "none",
        "DATABASE_URL": f"sqlite:///{tmp_path}/x.db",
    }

    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | settings | variables,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("name", "value", "choices"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "`http/protobuf`"),
        ("OTEL_TRACES_EXPORTER", "console", "`otlp` or `none`"),
        ("OTEL_PROPAGATORS", "b3", "`tracecontext` or `tracecontext,baggage`"),
    ],
)
def test_what_is_not_supported_stops_the_start(tmp_path: Path, name: str, value: str, choices: str) -> None:
    error = f"Error: {name} must be {choices}, not {value!r}\n"

    assert failed_start(tmp_path, **{name: value}) == (1, error)
