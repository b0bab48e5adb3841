"""The TypeScript client, strictly compiled, and run by Node.js against the live server."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.contract.sdk.readme import example
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
    """The compiled programs, including README's."""
    (project / "readme.ts").write_text(example("typescript", server.url))
    compiler = project.parents[1] / "node_modules" / ".bin" / "tsc"
    compilation = subprocess.run(
        [compiler, "--project", project], capture_output=True, text=True, check=False
    )
    assert compilation.returncode == 0, compilation.stdout
    return project / "dist"


def node(*arguments: str | Path, url: str) -> subprocess.CompletedProcess[str]:
    """Run a program with the service's URL in its environment."""
    return subprocess.run(
        ["node", *arguments], env=os.environ | {"USERS_API": url}, capture_output=True, text=True, check=False
    )


def test_the_client_s_tests_pass(compiled: Path, server: Service) -> None:
    run = node("--test", "--test-reporter=tap", compiled / "users.test.js", url=server.url)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "# pass 6" in run.stdout


def test_readme_s_example_works(compiled: Path, server: Service) -> None:
    first, second = (node(compiled / "readme.js", url=server.url) for _ in range(2))

    assert first.stdout.startswith("grace@example.org was added! ")
    assert second.stdout == "Refused: Sorry. That email already exists.\n"
