"""`compose.prod.yml`: two replicas behind the proxy and PgBouncer; the service survives without one."""

import subprocess
import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

from tests.delivery.engine import docker, psql
from tests.support.postgres import free_port
from tests.support.waiting import until

DIFFERENCE = """
services:
  proxy:
    image: {image}-caddy
  pgbouncer:
    image: {image}-pgbouncer
  users:
    healthcheck:
      interval: 1s
"""


class Production:
    """The services of compose.prod.yml."""

    def __init__(self, root: Path, folder: Path, image: str) -> None:
        """Replace the third-party images."""
        (folder / "difference.yml").write_text(DIFFERENCE.format(image=image))
        self.files = ["--file", str(root / "compose.prod.yml"), "--file", str(folder / "difference.yml")]
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self.environment = {
            "AUTH": "none",
            "COMPOSE_PROJECT_NAME": "users-api-rehearsal-production",
            "HTTP_PORT": f"127.0.0.1:{port}",
            "IMAGE": image,
            "POSTGRES_PASSWORD": "rehearsal",
        }

    def compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `docker compose`."""
        return docker("compose", *self.files, *arguments, **self.environment)

    def query(self, statement: str) -> list[str]:
        """Return the rows of a single column."""
        return self.compose("exec", "-T", "users-db", *psql("users", statement)).stdout.split()

    def replicas(self) -> list[str]:
        """Return the container ids of the replicas."""
        return self.compose("ps", "--all", "--quiet", "users").stdout.split()


@pytest.fixture(scope="module")
def production(root: Path, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """The running services; afterwards they are stopped and their data deleted."""
    for name in ("caddy", "pgbouncer"):
        docker(
            "build",
            "--quiet",
            "--tag",
            f"{image}-{name}",
            "--target",
            name,
            str(Path(__file__).with_name("production")),
        )
    production = Production(root, tmp_path_factory.mktemp("production"), image)
    production.compose("down", "--volumes")
    production.compose("up", "--detach", "--wait")
    yield production
    production.compose("down", "--volumes")


class Reader(threading.Thread):
    """A client that repeatedly lists the users and records each response."""

    def __init__(self, url: str) -> None:
        """Store the URL."""
        super().__init__()
        self.url, self.over, self.answers = url, threading.Event(), []

    def run(self) -> None:
        """Read until stopped."""
        with httpx.Client(timeout=30) as http:
            while not self.over.wait(0.01):
                self.answers.append(http.get(f"{self.url}/users"))

    def go_on(self) -> None:
        """Return when further responses have arrived."""
        enough = len(self.answers) + 50
        until(lambda: len(self.answers) >= enough)


def test_requests_pass_the_proxy_and_pgbouncer(production: Production) -> None:
    answers = [
        httpx.post(f"{production.url}/users", json={"username": "ada", "email": f"ada{n}@example.org"})
        for n in range(20)
    ]

    connected = production.query(
        "SELECT DISTINCT client_addr FROM pg_stat_activity WHERE application_name = 'users-api'"
    )
    pgbouncer = docker(
        "inspect",
        "--format",
        "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
        *production.compose("ps", "--quiet", "pgbouncer").stdout.split(),
    )
    assert {answer.status_code for answer in answers} == {HTTPStatus.CREATED}
    assert production.query("SELECT count(*) FROM users") == ["20"]
    assert production.query("SHOW statement_timeout") == ["5s"]
    assert connected == pgbouncer.stdout.split()


def test_each_replica_works_without_the_other(production: Production, figures: list[str]) -> None:
    one, other = production.replicas()
    reader = Reader(production.url)
    reader.start()
    try:
        reader.go_on()
        docker("stop", one)
        reader.go_on()
        docker("start", one)
        until(lambda: docker("inspect", "--format", "{{.State.Health.Status}}", one).stdout == "healthy\n")
        docker("stop", other)
        reader.go_on()
    finally:
        reader.over.set()
        reader.join()

    longest = max(answer.elapsed.total_seconds() for answer in reader.answers)
    figures.append(
        f"replicas stopped in turn behind the proxy: {len(reader.answers)} requests, "
        f"the longest {longest:.1f} s"
    )
    assert {answer.status_code for answer in reader.answers} == {HTTPStatus.OK}
