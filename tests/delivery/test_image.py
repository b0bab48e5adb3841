"""The image under the conditions of the platforms that run it."""

import json
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.delivery.engine import Container, Database, container, docker
from tests.support.waiting import until

BODY = '{{"username": "ada", "email": "ada{0}@example.org"}}'
OVER_TLS = (
    "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
    "WHERE application_name = 'users-api'"
)
LARGEST_MEGABYTES = 110  # 28 of them are cryptography, redis, OpenTelemetry and what they need.


@pytest.fixture
def service(image: str, database: Database) -> Iterator[Container]:
    """The image with an unknown uid, no capabilities, a read-only root, a writable /tmp, and a given port."""
    confinement = ["--user", "54321:54321", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]  # noqa: S108 -- inside the container.
    with container(image, *confinement, *database.options, "--env", "PORT=8080", port=8080) as running:
        yield running


def test_a_restricted_container_is_healthy_and_connects_over_tls(
    service: Container, database: Database, figures: list[str]
) -> None:
    service.wait_until_ready()
    figures.append(f"from `docker run` to ready: {time.monotonic() - service.started:.1f} s")

    until(lambda: service.inspect(".State.Health.Status") != "starting")

    assert service.inspect(".State.Health.Status") == "healthy"
    assert httpx.get(f"{service.url}/users").json() == {
        "status": "success",
        "data": {"users": [], "next": None, "prev": None},
    }
    assert database.query(OVER_TLS) == ["t"]


def test_graceful_shutdown_finishes_every_request(service: Container, database: Database) -> None:
    service.wait_until_ready()
    callers = [start_of_a_request(service.port, BODY.format(number)) for number in range(30)]

    docker("kill", "--signal", "TERM", service.id)
    until(lambda: "Handling signal: term" in service.logs())
    answers = [rest_of_a_request(caller, BODY.format(number)) for number, caller in enumerate(callers)]

    assert answers == [b"HTTP/1.1 201"] * 30
    assert docker("wait", service.id).stdout.strip() == "0"
    assert database.query("SELECT count(*) FROM users") == ["30"]


def start_of_a_request(port: int, body: str) -> socket.socket:
    caller = socket.create_connection(("127.0.0.1", port), timeout=20)
    headers = (
        "POST /users HTTP/1.1\r\nHost: users\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    caller.sendall((headers + body[:10]).encode())
    return caller


def rest_of_a_request(caller: socket.socket, body: str) -> bytes:
    with caller:
        caller.sendall(body[10:].encode())
        return caller.recv(12)


def test_the_code_is_read_only(image: str) -> None:
    found = docker(
        "run", "--rm", "--user", "54321:54321", image, "find", "/opt", "/usr", "!", "-type", "l", "-writable"
    )

    assert found.stdout == ""


def test_an_invalid_setting_stops_startup_with_one_line(image: str) -> None:
    refused = docker("run", "--rm", image, check=False)

    assert refused.returncode == 1
    assert (
        refused.stderr
        == "Error: Set DATABASE_URL to the database, like postgresql://USER:PASSWORD@HOST:PORT/NAME.\n"
    )


def test_the_image_is_labelled_and_small(image: str, figures: list[str]) -> None:
    mine, base = (
        json.loads(docker("image", "inspect", name).stdout)[0] for name in (image, "python:3.13-slim")
    )
    labels = mine["Config"]["Labels"]

    assert labels["org.opencontainers.image.title"] == "Users API"
    assert labels["org.opencontainers.image.version"] == "2.1.0"
    assert len(labels["org.opencontainers.image.revision"]) == 40
    assert mine["Config"]["User"] == "10001:10001"
    assert mine["Config"]["Cmd"] == ["users-api", "serve"]
    added = (mine["Size"] - base["Size"]) / 1e6
    figures.append(f"the image: {mine['Size'] / 1e6:.0f} MB, {added:.0f} MB of it added to the base image")
    assert added < LARGEST_MEGABYTES


def test_the_images_contain_only_chosen_files(image: str) -> None:
    in_tests = docker("run", "--rm", f"{image}-test", "ls", "-A", "/src").stdout.split()
    in_service = docker(
        "run", "--rm", image, "sh", "-c", "ls /src; pip list --path /opt/users-api/lib/python3*/site-packages"
    )

    assert ".git" not in in_tests
    assert "instance" not in in_tests
    assert "/src" in in_service.stderr
    assert not {"pip", "pytest", "hatchling", "setuptools"}.intersection(in_service.stdout.split())
