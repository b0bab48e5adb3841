"""The Docker Engine, used through its command line."""

import http.client
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.support.waiting import until

NEEDS = (
    "`make delivery` needs a Docker Engine for which `docker info` succeeds, "
    "and Docker Compose (`docker compose version`). "
    "Start one, or set DOCKER_SANDBOX to a command that runs its arguments with an engine."
)


def docker(*arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the Docker client and return its output."""
    done = subprocess.run(
        ["docker", *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 or not check, f"docker {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done


def psql(database: str, statement: str) -> list[str]:
    """Return the command that prints the rows of a single column."""
    return ["psql", "--username=postgres", "--tuples-only", "--no-align", database, f"--command={statement}"]


def engine_answers() -> bool:
    """Return whether an engine and Compose are available."""
    try:
        return not any(docker(*words, check=False).returncode for words in (["info"], ["compose", "version"]))
    except FileNotFoundError:
        return False


class Container:
    """A running container with its port published on the loopback interface."""

    def __init__(self, image: str, *options: str, command: tuple[str, ...] = (), port: int = 5000) -> None:
        """Start the container."""
        self.started = time.monotonic()
        self.id = docker(
            "run", "--detach", "--publish", f"127.0.0.1::{port}", *options, image, *command
        ).stdout.strip()
        self.port = int(docker("port", self.id, str(port)).stdout.split(":")[-1])
        self.url = f"http://127.0.0.1:{self.port}"

    def inspect(self, path: str) -> Any:
        """Return a part of `docker inspect`."""
        return json.loads(docker("inspect", "--format", f"{{{{json {path}}}}}", self.id).stdout)

    def logs(self) -> str:
        """Return its output."""
        done = docker("logs", self.id)
        return done.stdout + done.stderr

    def wait_until_ready(self) -> None:
        """Return when the service in it is ready; raise AssertionError with its output otherwise."""
        try:
            until(lambda: self.is_ready() or not self.inspect(".State.Running"))
        except TimeoutError:
            raise AssertionError(self.logs()) from None
        assert self.is_ready(), self.logs()

    def is_ready(self) -> bool:
        """Return whether the service in it is ready, and its database reachable."""
        try:
            return httpx.get(f"{self.url}/health/ready").status_code == http.client.OK
        except httpx.TransportError:
            return False

    def stop(self) -> int:
        """Stop it like an orchestrator does, and return its exit status."""
        docker("stop", "--time", "30", self.id)
        return self.inspect(".State.ExitCode")


@contextmanager
def container(image: str, *options: str, **settings: Any) -> Iterator[Container]:
    """Start a container, and remove it afterwards."""
    running = Container(image, *options, **settings)
    try:
        yield running
    finally:
        docker("rm", "--force", "--volumes", running.id)


class Databases:
    """A PostgreSQL server in a container."""

    def __init__(self, server: Container, image: str, network: str) -> None:
        """Store the server, and the image whose migrations its databases use."""
        self.server, self.image, self.network = server, image, network

    def create(self, name: str) -> "Database":
        """Create a database and migrate it like a release does."""
        docker("exec", self.server.id, "createdb", "--username", "postgres", name)
        database = Database(self.server, self.network, name)
        database.migrate(self.image)
        return database


class Database:
    """A database on that server."""

    def __init__(self, server: Container, network: str, name: str) -> None:
        """Store the name; `options` connect a container to the database."""
        self.server, self.name = server, name
        url = f"postgres://postgres:postgres@users-db/{name}"
        self.options = ["--network", network, "--env", f"DATABASE_URL={url}"]
        self.options += ["--env", "PGSSLMODE=require", "--env", "AUTH=none"]

    def migrate(self, image: str) -> str:
        """Run the image's release phase and return its output."""
        return docker("run", "--rm", *self.options, f"{image}-release").stdout

    def query(self, statement: str) -> list[str]:
        """Return the rows of a single column."""
        return docker("exec", self.server.id, *psql(self.name, statement)).stdout.split()
