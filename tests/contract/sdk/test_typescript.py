"""The TypeScript client, strictly compiled, and run by Node.js against the live server."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.contract.sdk.pages import LOG_IN, USE, example
from tests.support.service import Service

SOURCES = Path(__file__).with_name("typescript")


@pytest.fixture
def project(root: Path) -> Path:
    """A project with the client installed, and the tests' programs."""
    folder = root / "build" / "sdk" / "use"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SOURCES, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "users-api-client").symlink_to(root / "build" / "sdk" / "typescript")
    return folder


@pytest.fixture
def compiled(project: Path, server: Service) -> Path:
    """The compiled programs, including those of README and SECURITY.md."""
    (project / "use.ts").write_text(example(USE, "typescript", server.url))
    (project / "log_in.ts").write_text(example(LOG_IN, "typescript", server.url))
    compiler = project.parents[1] / "node_modules" / ".bin" / "tsc"
    compilation = subprocess.run(
        [compiler, "--project", project], capture_output=True, text=True, check=False
    )
    assert compilation.returncode == 0, compilation.stdout
    return project / "dist"


def node(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program with these variables added to its environment."""
    return subprocess.run(
        ["node", *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_the_client_s_tests_pass(compiled: Path, environment: dict[str, str]) -> None:
    run = node("--test", "--test-reporter=tap", compiled / "users.test.js", **environment)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "# pass 7" in run.stdout


@pytest.mark.parametrize("auth", ["required"], indirect=True)
def test_the_client_s_tests_of_access_pass(compiled: Path, environment: dict[str, str]) -> None:
    run = node("--test", "--test-reporter=tap", compiled / "access.test.js", **environment)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "# pass 5" in run.stdout


@pytest.mark.parametrize("auth", ["none"], indirect=True)
def test_readme_s_example_works(compiled: Path) -> None:
    first, second = (node(compiled / "use.js") for _ in range(2))

    assert first.stdout.startswith("grace@example.org was added! ")
    assert second.stdout == "Refused: Sorry. That email already exists.\n"


@pytest.mark.parametrize("auth", ["required"], indirect=True)
def test_the_example_with_login_works(compiled: Path, environment: dict[str, str]) -> None:
    answer = node(compiled / "log_in.js", **environment)
    refusal = node(compiled / "log_in.js", **environment | {"CLIENT_SECRET": "wrong"})

    assert re.fullmatch(r"\d+ users\n", answer.stdout), answer.stderr
    assert refusal.stdout == "Refused: The client is unknown or revoked, or its secret is wrong.\n"
