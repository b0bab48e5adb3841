"""Behind a reverse proxy: trusted headers, and timeouts that suit the proxy's."""

import socket
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.support.postgres import PostgreSQL
from tests.support.service import Service, service
from users_api.config import DevelopmentConfig
from users_api.server.configuration import gunicorn_settings
from users_api.serving import server_options

FORWARDED = {"X-Forwarded-For": "192.0.2.1, 203.0.113.9", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(
    ("trusted", "address"),
    [
        pytest.param("127.0.0.0/8", "203.0.113.9", id="only the trusted proxy's header counts"),
        pytest.param("10.0.0.0/8", "127.0.0.1", id="an untrusted proxy's header is ignored"),
    ],
)
def test_only_trusted_proxies_may_name_the_client(postgres: PostgreSQL, trusted: str, address: str) -> None:
    logged = {"FORWARDED_ALLOW_IPS": trusted, "GUNICORN_CMD_ARGS": "--access-logfile -"}
    with service(postgres.create(f"router_{trusted.partition('.')[0]}"), **logged) as running:
        httpx.get(f"{running.url}/users", headers=FORWARDED)
        (line,) = [line for line in running.output().splitlines() if "GET /users " in line]

    assert address in line.partition("GET")[0]


FORGED = {
    b"a\x85b": rb"a\x85b",  # C1 controls are line breaks or commands to some terminals.
    b"a\x9b31mb": rb"a\x9b31mb",
    b"a\xa0\xadb": rb"a\xa0\xadb",
    b"a\tb": rb"a\x09b",
    b"a\\x85": rb"a\x5cx85",
    b"\xc3\xa9": rb"\xc3\xa9",
    b'1:0 - "GET /forged HTTP/1.1" 200': rb"1:0\x20-\x20\x22GET\x20/forged\x20HTTP/1.1\x22\x20200",
    b"2001:db8::1": b"2001:db8::1",
}


def test_no_field_of_the_access_log_can_be_forged(tmp_path: Path) -> None:
    logged = {"FORWARDED_ALLOW_IPS": "127.0.0.1", "GUNICORN_CMD_ARGS": "--access-logfile -"}
    with service(f"sqlite:///{tmp_path}/log.db", WEB_CONCURRENCY="1", **logged) as running:
        for number, address in enumerate(FORGED):
            send(running, b'GET /no/%d?a"%%85 HTTP/1.1\r\nX-Forwarded-For: %s' % (number, address))
        send(running, b"GET /no/%C2%85%22%0A HTTP/1.1")
        lines = [line for line in running.output().encode().splitlines() if b"/no/" in line]

    assert lines[:-1] == [
        b'%s:0 - "GET /no/%d?a\\x22%%85 HTTP/1.1" 404' % (escaped, number)
        for number, escaped in enumerate(FORGED.values())
    ]
    assert lines[-1].endswith(b' - "GET /no/%C2%85%22%0A HTTP/1.1" 404')


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET / HTTP/1.1\r\nX-Forwarded-For: a%c" % control, id=f"control {control:#04x}")
        for control in (*range(1, 9), *range(11, 13), *range(14, 32), 127)
    ],
)
def test_the_server_rejects_other_control_characters(server: Service, head: bytes) -> None:
    assert send(server, head).startswith(b"HTTP/1.1 400 ")


def send(running: Service, head: bytes) -> bytes:
    """Send the beginning of a request's head, and return the response."""
    with closing(socket.create_connection(("127.0.0.1", running.port), timeout=30)) as connection:
        connection.sendall(head + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return connection.makefile("rb").read()


def test_the_timeouts_suit_herokus_router() -> None:
    options = server_options(DevelopmentConfig)
    settings = gunicorn_settings(options)

    assert settings["keepalive"] > 90, (
        "the router keeps idle connections for 90 s and must be the one that closes them"
    )
    assert options.graceful_seconds < settings["graceful_timeout"] < 30, (
        "Heroku sends SIGKILL 30 s after SIGTERM"
    )
