"""`docs/extending.md` is correct: following its steps adds a resource, and no other file has to change."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess
from uuid import uuid4

import httpx
import pytest

from tests.extending.walkthrough import FOREIGN, Change, Copy, Session, steps
from tests.support.postgres import PostgreSQL
from tests.support.service import Service, service
from tests.support.waiting import until
from users_api.access.keys import generate_key

GROWN = re.compile(
    r"openapi/users\.yaml|users_api/(handlers/\w+|models|schemas|errors|migrations/versions/\w+)\.py|tests/functional/test_\w+\.py"
)
FUZZ = """
import sys
from tests.contract.fuzz.run import in_process
sys.exit(in_process(*sys.argv[1:]).returncode)
"""
FUZZED = ("--include-path-regex=^/groups", "--max-examples=10")
CHESS = {"slug": "chess", "name": "Chess club", "kind": "club", "members": [1]}
COUNTED = [
    f'status_code="{status}",http_route="/groups/{{slug}}",operation="delete_group"' for status in (200, 401)
]
TESTS = ("functions", "structure", "migrations")
Runs = dict[str, Future[CompletedProcess[str]]]


@pytest.fixture(scope="module")
def page(root: Path) -> list[Change | Session]:
    """The steps of the page; the last three run tests."""
    return list(steps((root / "docs" / "extending.md").read_text()))


@pytest.fixture(scope="module")
def copy(root: Path, page: list[Change | Session], tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy of the checkout in which all steps of the page except the tests were executed."""
    copy = Copy(root, tmp_path_factory.mktemp("grown") / "users-api")
    for step in page[:-3]:
        copy.follow(step)
    return copy


@pytest.fixture(scope="module")
def runs(
    copy: Copy, page: list[Change | Session], postgres: PostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runs]:
    """The slow runs, two at a time: the page's tests, and Schemathesis on both databases."""
    settings = copy.folder / "tests/contract/fuzz/schemathesis.toml"
    settings.write_text(
        re.sub(r"(stateful.*?max-examples) = \d+", r"\1 = 10", settings.read_text(), flags=re.DOTALL)
    )
    urls = {
        "sqlite": f"sqlite:///{tmp_path_factory.mktemp('fuzz')}/fuzz.db",
        "postgresql": postgres.create(f"grown_{uuid4().hex}"),
    }

    def fuzz(name: str, url: str) -> CompletedProcess[str]:
        return copy.run("python", "-c", FUZZ, url, name, *FUZZED)

    with ThreadPoolExecutor(2) as threads:
        tests = {name: threads.submit(copy.play, step) for name, step in zip(TESTS, page[-3:], strict=True)}
        yield tests | {name: threads.submit(fuzz, name, url) for name, url in urls.items()}


def test_the_sessions_show_what_the_commands_print(copy: Copy) -> None:
    shown = [(session.command, session.shown or 0) for session, _ in copy.played]

    assert [
        (session.command, done.stdout if session.shown else done.returncode) for session, done in copy.played
    ] == shown


def test_the_page_changes_only_expected_files(page: list[Change | Session]) -> None:
    assert [step.file for step in page if isinstance(step, Change) and not GROWN.fullmatch(step.file)] == []


def test_the_extended_service_passes_the_linters(copy: Copy, page: list[Change | Session]) -> None:
    files = {step.file for step in page if isinstance(step, Change) and step.file.endswith(".py")}

    linted = [
        copy.run("ruff", "check", *files),
        copy.run("ruff", "format", "--check", *files),
        copy.run("yamllint", "--strict", "openapi"),
    ]

    assert [each.stdout for each in linted if each.returncode] == []


@pytest.mark.parametrize("name", TESTS)
def test_the_grown_service_passes_its_tests(runs: Runs, name: str) -> None:
    tested = runs[name].result()

    assert tested.returncode == 0, tested.stdout


def test_schemathesis_finds_nothing_in_the_grown_service(runs: Runs, backend: str) -> None:
    fuzzed = runs[backend].result()

    assert fuzzed.returncode == 0, fuzzed.stdout
    assert "6 selected" in fuzzed.stdout


def test_the_grown_service_serves_and_counts(
    copy: Copy, postgres: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy.folder)  # gunicorn looks for the application there first.
    for name in filter(FOREIGN.match, list(os.environ)):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(copy.folder))
    url, settings = postgres.create("grown"), {"AUTH": "required", "TOKEN_KEYS": generate_key()}

    with service(url, **settings) as running, httpx.Client(base_url=running.url) as client:
        running.command("db", "upgrade")  # `service` has run the migrations of this checkout.
        token = {
            "Authorization": f"Bearer {new_token(running, 'users:write', 'groups:write', 'metrics:read')}"
        }
        client.post("/users", json={"username": "ada", "email": "ada@example.org"}, headers=token)
        added = client.post("/groups", json=CHESS, headers=token)
        refused = client.delete("/groups/chess")
        removed = client.delete("/groups/chess", headers=token)
        forbidden = client.get("/groups/chess", headers=token)
        until(lambda: all(each in client.get("/metrics", headers=token).text for each in COUNTED))

    assert added.json()["data"] == CHESS | {"description": None}
    assert (refused.status_code, refused.json()) == (
        401,
        {"status": "fail", "message": "Authentication required."},
    )
    assert removed.json() == {"status": "success", "message": "Group chess was removed!"}
    assert (forbidden.status_code, forbidden.json()) == (
        403,
        {"status": "fail", "message": "Insufficient scope."},
    )


def new_token(running: Service, *scopes: str) -> str:
    """Return the token that the service issues to a new client with these scopes."""
    options = [part for scope in scopes for part in ("--scope", scope)]
    _, client_id, _, secret = running.command("clients", "add", "test", *options).split()
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    token: str = httpx.post(f"{running.url}/oauth/token", data=form).json()["access_token"]
    return token
