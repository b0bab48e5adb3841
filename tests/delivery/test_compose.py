"""`docker compose up` on a copy of the checkout: development as documented, and failures of its parts."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.delivery.engine import docker
from tests.support.postgres import free_port
from tests.support.waiting import until

MOUNTED = ("docker", "openapi", "tests", "users_api")
# All tests pass inside, in two minutes. These need the database of Compose, the mounted files, and a server
# of their own.
INSIDE = (
    "tests/unit tests/functional/test_users.py tests/functional/test_server.py "
    "-k 'unit or test_users or reloads'"
)
NEVER_HEALTHY = """
services:
  users-db:
    healthcheck:
      test: ["CMD", "pg_isready", "--port", "1"]
      interval: 0.2s
      retries: 2
"""
NO_DATABASE = """
services:
  users-migrations:
    environment:
      DATABASE_URL: postgresql://postgres:postgres@users-db:5432/users_nowhere
"""


class Project:
    """A copy of the checkout in Compose."""

    def __init__(self, root: Path, folder: Path, image: str) -> None:
        """Copy the files that the services mount."""
        self.folder, self.port = folder, free_port()
        self.environment = {
            "COMPOSE_PROJECT_NAME": "users-api-rehearsal",
            "IMAGE": image,
            "USERS_PORT": str(self.port),
        }
        shutil.copy(root / "docker-compose.yml", folder)
        for name in MOUNTED:
            shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))

    def compose(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `docker compose`."""
        return docker(
            "compose", "--project-directory", str(self.folder), *arguments, check=check, **self.environment
        )

    def execute(self, command: str, service: str = "users") -> str:
        """Run a shell command in a running service and return its output."""
        return self.compose("exec", "-T", service, "sh", "-c", command).stdout

    def query(self, statement: str, database: str = "users_dev") -> list[str]:
        """Return the rows of a statement."""
        psql = f"psql --username postgres --tuples-only --no-align {database}"
        return self.execute(f"echo '{statement}' | {psql}", "users-db").splitlines()

    def says(self, path: str, message: str) -> bool:
        """Return whether the service returns that message."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}{path}").json()["message"] == message
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def project(root: Path, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project before `up`; afterwards it is stopped and its data deleted."""
    project = Project(root, tmp_path_factory.mktemp("checkout"), image)
    project.compose("down", "--volumes", "--remove-orphans")
    yield project
    project.compose("down", "--volumes", "--remove-orphans")


@pytest.fixture(scope="module")
def running(project: Project) -> Project:
    """The running project."""
    project.compose("up", "--detach", "--wait", "--no-build")
    return project


@pytest.mark.parametrize(
    ("difference", "reasons"),
    [
        pytest.param(NEVER_HEALTHY, ["users-db-1 is unhealthy"], id="the database never becomes healthy"),
        pytest.param(
            NO_DATABASE,
            [
                'service "users-migrations" didn\'t complete successfully: exit 1',
                'database "users_nowhere" does not exist',
            ],
            id="the migration fails",
        ),
    ],
)
def test_without_its_database_the_service_does_not_start(
    project: Project, difference: str, reasons: list[str]
) -> None:
    (project.folder / "difference.yml").write_text(difference)
    files = [
        "--file",
        str(project.folder / "docker-compose.yml"),
        "--file",
        str(project.folder / "difference.yml"),
    ]

    up = project.compose(*files, "up", "--detach", "--wait", "--no-build", check=False)
    said = up.stderr + project.compose(*files, "logs").stdout
    running = project.compose(*files, "ps", "--services", "--status", "running").stdout.split()
    project.compose(*files, "down", "--volumes")

    assert (up.returncode, running) == (1, ["users-db"])
    assert [reason for reason in reasons if reason not in said] == []


def test_the_service_is_ready_when_compose_says_so(running: Project) -> None:
    assert running.says("/health/ready", "ready")
    assert running.says("/ping", "pong")


def test_the_databases_of_development_tests_and_production_exist(running: Project) -> None:
    databases = running.query("SELECT datname FROM pg_database", database="postgres")

    assert {"users_dev", "users_test", "users_prod"} < set(databases)


def test_the_commands_work_inside(running: Project) -> None:
    assert running.execute("users-api recreate_db") == "The database is empty and at the newest migration.\n"
    assert running.execute("users-api seed_db") == "Added 2 users.\n"
    assert "count=2" in running.execute(
        "echo 'print(f\"count={db.session.query(User).count()}\")' | users-api shell"
    )


def test_the_tests_pass_inside(running: Project) -> None:
    passed = running.execute(f"pytest -q -p no:cacheprovider {INSIDE}")

    assert " passed" in passed


def test_a_change_of_the_code_reloads_the_service(running: Project) -> None:
    handler = running.folder / "users_api" / "handlers" / "health.py"

    handler.write_text(handler.read_text().replace('"pong"', '"changed"'))

    until(lambda: running.says("/ping", "changed"))


def test_a_backup_restores_every_user(running: Project, figures: list[str]) -> None:
    content = "SELECT count(*), sum(hashtext(users::text)) FROM users"
    running.execute("users-api recreate_db && users-api seed_db --count 20000")
    before = running.query(content)

    running.execute(
        "pg_dump --username postgres --format custom --file /tmp/users.dump users_dev", "users-db"
    )
    running.execute("users-api recreate_db")
    lost = running.query(content)
    restore = (
        "pg_restore --username postgres --clean --if-exists --exit-on-error "
        "--dbname users_dev /tmp/users.dump"
    )
    running.execute(restore, "users-db")
    after = running.query(content)

    assert lost == ["0|"]
    assert after == before
    assert running.says("/health/ready", "ready")
    figures.append(
        f"backup and restore: {before[0].split('|')[0]} users before, {after[0].split('|')[0]} after"
    )
