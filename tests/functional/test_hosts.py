"""Requests to other hosts are rejected: no page of another site reaches the service by DNS rebinding."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPResponse
from typing import Any

import pytest

from tests.support.service import Service, service

MISDIRECTED = (421, {"status": "fail", "message": "Misdirected request."})
Ask = Callable[[str, str | None], tuple[int, Any]]


@pytest.fixture(scope="module", params=[{}, {"ALLOWED_HOSTS": "users.example.org, [::1]"}])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server with the hosts of development, and one with its own."""
    settings = {"APP_SETTINGS": "users_api.config.DevelopmentConfig", "WEB_CONCURRENCY": "1"} | request.param
    with service(f"sqlite:///{tmp_path_factory.mktemp('hosts')}/hosts.db", **settings) as running:
        yield running


@pytest.fixture
def own_host(running: Service) -> str:
    """A host that the server allows."""
    return running.environment.get("ALLOWED_HOSTS", "localhost").partition(",")[0]


@pytest.fixture
def ask(running: Service) -> Ask:
    """Sends a request line with a Host header, and returns the status and the body."""

    def ask(line: str, host: str | None) -> tuple[int, Any]:
        with closing(socket.create_connection(("127.0.0.1", running.port), timeout=30)) as connection:
            header = "" if host is None else f"Host: {host}\r\n"
            connection.sendall(f"{line}\r\n{header}Connection: close\r\n\r\n".encode("latin-1"))
            with closing(HTTPResponse(connection)) as response:
                response.begin()
                body = response.read()
                return response.status, json.loads(body) if body.startswith(b"{") else body

    return ask


@pytest.mark.parametrize("spelling", ["{}", "{}:5000", "{}.", "{}.:80", "{upper}"])
def test_an_allowed_host_is_served(ask: Ask, own_host: str, spelling: str) -> None:
    host = spelling.format(own_host, upper=own_host.upper())

    assert ask("GET /users/1 HTTP/1.1", host)[0] == 404
    assert ask("GET /ui/ HTTP/1.1", host)[0] == 200


def test_loopback_by_ipv6_is_an_allowed_host(ask: Ask) -> None:
    assert [ask("GET /users HTTP/1.1", host)[0] for host in ("[::1]", "[::1]:5000")] == [200, 200]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.example:80",
        "",
        "localhost localhost",
        "[::2]",
        "[::1",
        "localhost:evil.example",
        "localhost:80:80",
        "\xe9",
    ],
)
def test_another_host_is_rejected(ask: Ask, host: str) -> None:
    assert ask("GET /users HTTP/1.1", host) == MISDIRECTED


@pytest.mark.parametrize(
    "line",
    ["DELETE /users/1", "POST /users", "GET /ui/", "GET /metrics", "GET /openapi.json", "GET /nowhere"],
)
def test_another_host_is_rejected_on_every_path(ask: Ask, line: str) -> None:
    assert ask(f"{line} HTTP/1.1", "evil.example") == MISDIRECTED


@pytest.mark.parametrize("path", ["/ping", "/health/live", "/health/ready"])
def test_health_probes_may_address_any_host(ask: Ask, path: str) -> None:
    assert ask(f"GET {path} HTTP/1.1", "10.0.0.7:5000")[0] == 200


def test_a_target_in_absolute_form_names_the_host(ask: Ask, own_host: str) -> None:
    allowed = ask(f"GET http://{own_host}:80/users HTTP/1.1", "evil.example")
    rejected = [
        ask(f"GET {target}/users HTTP/1.1", own_host)
        for target in ("http://evil.example", f"http://{own_host}@evil.example:80")
    ]

    assert allowed[0] == 200
    assert rejected == [MISDIRECTED] * 2


def test_http_1_0_without_a_host_is_served(ask: Ask) -> None:
    assert ask("GET /users HTTP/1.0", None)[0] == 200
