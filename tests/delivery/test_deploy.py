"""A deployment and rollback under load: two versions share a database; no request fails, no write is lost."""

import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Self

import httpx
import pytest
from alembic.script import ScriptDirectory

from tests.delivery.engine import Container, Database, container, docker

NEXT_IMAGE = """
FROM {image}
COPY next_migration.py {versions}/
"""
NEXT_MIGRATION = '''
"""Add a language; like every migration, it keeps the previous version working."""

import sqlalchemy as sa
from alembic import op

revision = "0999"
down_revision = "{newest}"


def upgrade() -> None:
    """Add the column with a default, so that inserts without it continue to work."""
    op.add_column("users", sa.Column("language", sa.String(35), server_default="en", nullable=False))
'''
CLIENTS = 4
PAUSE_SECONDS = 0.02  # otherwise the clients take CPU time from the starting instances


class Traffic:
    """Clients that read and write continuously; requests use the instances in turn, like a load balancer."""

    def __init__(self) -> None:
        """Start without an instance in rotation."""
        self.rotation: list[str] = []
        self.acknowledged: list[str] = []
        self.failures: list[str] = []
        self.sent = [0] * CLIENTS
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(CLIENTS)]

    def run(self, client: int) -> None:
        """Repeatedly write a user and read it."""
        with httpx.Client(timeout=30) as http:
            for number in count():
                if self.over.wait(PAUSE_SECONDS):
                    return
                self.write(
                    http, f"client{client}.{number}@example.org", self.rotation[number % len(self.rotation)]
                )
                self.sent[client] += 2

    def write(self, http: httpx.Client, email: str, url: str) -> None:
        """Write a user and read it; record acknowledgements and failures."""
        try:
            written = http.post(f"{url}/users", json={"username": "ada", "email": email}).raise_for_status()
            self.acknowledged.append(email)
            http.get(url + written.headers["Location"]).raise_for_status()
        except httpx.HTTPError as failure:
            self.failures.append(f"{email}: {failure!r}")

    def go_on(self, requests: int = 30) -> None:
        """Return when each client has sent this many further requests."""
        goal = [sent + requests for sent in self.sent]
        while any(sent < enough for sent, enough in zip(self.sent, goal, strict=True)):
            assert not self.over.wait(0.05)

    def switch_to(self, *instances: Container) -> None:
        """Replace the instances in rotation, and return when the old ones have no running requests."""
        self.rotation = [instance.url for instance in instances]
        self.go_on(requests=2)

    def __enter__(self) -> Self:
        """Start the clients."""
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_failure: object) -> None:
        """Stop the clients."""
        self.over.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def start(database: Database) -> Iterator[Callable[[str], Container]]:
    """Starts an instance of a version and returns it when it is ready."""
    containers = []

    def start(image: str) -> Container:
        opened = container(image, *database.options)
        containers.append(opened)
        running = opened.__enter__()
        running.wait_until_ready()
        return running

    yield start
    for opened in containers:
        opened.__exit__(None, None, None)


@pytest.fixture
def next_version(image: str, root: Path, tmp_path: Path) -> str:
    """The image of the next version, with one more migration."""
    newest = ScriptDirectory(str(root / "users_api" / "migrations")).get_current_head()
    where = "import users_api.migrations as m; print(m.__path__[0])"
    versions = docker("run", "--rm", image, "python", "-c", where).stdout.strip() + "/versions"
    (tmp_path / "next_migration.py").write_text(NEXT_MIGRATION.format(newest=newest).lstrip())
    for name in (image, f"{image}-release"):
        (tmp_path / "Dockerfile").write_text(NEXT_IMAGE.format(image=name, versions=versions))
        docker("build", "--quiet", "--tag", name.replace("rehearsal", "rehearsal-next"), str(tmp_path))
    return image.replace("rehearsal", "rehearsal-next")


def test_a_deployment_and_a_rollback_lose_nothing(
    image: str, next_version: str, database: Database, start: Callable[[str], Container], figures: list[str]
) -> None:
    old = [start(image), start(image)]
    traffic = Traffic()
    traffic.rotation = [instance.url for instance in old]
    with traffic:
        traffic.go_on()
        database.migrate(next_version)
        assert all(instance.is_ready() for instance in old)
        traffic.go_on()
        new = start(next_version)
        traffic.switch_to(*old, new)
        traffic.go_on()
        traffic.switch_to(new)
        exits = [instance.stop() for instance in old]
        traffic.go_on()

        rolled_back = database.migrate(image)
        again = start(image)
        traffic.switch_to(again)
        exits.append(new.stop())
        traffic.go_on()

    assert exits == [0, 0, 0]
    assert rolled_back == "A newer version has already migrated the database; this version can use it.\n"
    found = set(database.query("SELECT email FROM users"))
    figures.append(
        f"deploy and rollback: {sum(traffic.sent)} requests sent, {len(traffic.failures)} failed; "
        f"{len(traffic.acknowledged)} writes acknowledged, {len(found)} found"
    )
    assert traffic.failures == []
    assert found == set(traffic.acknowledged)
    assert database.query("SELECT count(*) FROM users WHERE language = 'en'") == [
        str(len(traffic.acknowledged))
    ]
