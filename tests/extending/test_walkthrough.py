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
from tests.support.service import service

KEY = "not-a-secret"
GROWN = re.compile(
    r"openapi/users\.yaml|users_api/(handlers/\w+|models|schemas|errors|migrations/versions/\w+)\.py|tests/functional/test_\w+\.py"
)
FUZZ = """
import sys
from tests.contract.fuzz.run import in_process
sys.exit(in_process(*sys.argv[1:]).returncode)
"""
FUZZED = ("--include-path-regex=^/groups", f"--header=X-Admin-Key: {KEY}", "--max-examples=10")
CHESS = {"slug": "chess", "name": "Chess club", "kind": "club", "members": [1]}
Runs = dict[str, Future[CompletedProcess[str]]]


@pytest.fixture(scope="module")
def page(root: Path) -> list[Change | Session]:
    """The steps of the page; the last two run tests."""
    return list(steps((root / "docs" / "extending.md").read_text()))


@pytest.fixture(scope="module")
def copy(root: Path, page: list[Change | Session], tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy of the checkout in which all steps of the page except the tests were executed."""
    copy = Copy(root, tmp_path_factory.mktemp("grown") / "users-api")
    for step in page[:-2]:
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

    def fuzz(url: str) -> CompletedProcess[str]:
        return copy.run("python", "-c", FUZZ, url, *FUZZED, ADMIN_KEY=KEY)

    with ThreadPoolExecutor(2) as threads:
        tests = {
            name: threads.submit(copy.play, step)
            for name, step in zip(("tests", "migrations"), page[-2:], strict=True)
        }
        yield tests | {name: threads.submit(fuzz, url) for name, url in urls.items()}


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


@pytest.mark.parametrize("name", ["tests", "migrations"])
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
    monkeypatch.setenv("ADMIN_KEY", KEY)
    monkeypatch.setenv("PYTHONPATH", str(copy.folder))

    with service(postgres.create("grown")) as running, httpx.Client(base_url=running.url) as client:
        running.command("db", "upgrade")  # `service` has run the migrations of this checkout.
        client.post("/users", json={"username": "ada", "email": "ada@example.org"})
        added = client.post("/groups", json=CHESS)
        refused = client.delete("/groups/chess")
        removed = client.delete("/groups/chess", headers={"X-Admin-Key": KEY})
        metrics = client.get("/metrics").text

    assert added.json()["data"] == CHESS | {"description": None}
    assert (refused.status_code, refused.json()) == (
        401,
        {"status": "fail", "message": "Authentication required."},
    )
    assert removed.json() == {"status": "success", "message": "Group chess was removed!"}
    for status in (200, 401):
        assert f'http_requests_total{{operation="delete_group",status="{status}"}} 1\n' in metrics
