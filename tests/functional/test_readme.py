"""README and the pages in docs: commands print the output shown, and the names mentioned exist."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click import Group

from tests.support.service import service
from users_api.cli import main

ROOT = Path(__file__).parents[2]
FILES = (ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md")))
PAGES = {page.name: page.read_text() for page in FILES}
FOLLOWED = "extending.md"  # tests/extending runs its sessions, on a copy of the checkout.
FOLDERS = {page.name: page.parent for page in FILES}
DATE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
ADDRESS = "http://127.0.0.1:5000"


def blocks(language: str) -> list[Any]:
    """Return the code blocks in the language, named by page and number."""
    code = re.compile(rf"```{language}\n(.*?)```", re.DOTALL)
    found = {name: code.findall(text) for name, text in PAGES.items() if name != FOLLOWED}
    return [
        pytest.param(block, id=f"{name} {number}")
        for name in found
        for number, block in enumerate(found[name], 1)
    ]


def words_after(command: str) -> set[tuple[str, ...]]:
    """Return the words that follow the command in code blocks."""
    found = re.findall(
        rf"(?:^|[`/]|exec users ){command}((?: [a-z][a-z_-]*)+)", "\n".join(PAGES.values()), re.MULTILINE
    )
    return {tuple(words.split()) for words in found}


@pytest.mark.parametrize("session", blocks("console"))
def test_a_session_prints_the_output_shown(session: str, tmp_path: Path) -> None:
    lines = session.splitlines()

    with service(f"sqlite:///{tmp_path}/readme.db") as running:
        running.command("seed_db")
        for command, shown in zip(lines[::2], lines[1::2], strict=True):
            words = shlex.split(command.removeprefix("$ ").replace(ADDRESS, running.url))
            response = subprocess.run(words, capture_output=True, text=True, check=True).stdout
            assert DATE.sub("date", response) == DATE.sub("date", shown), command


@pytest.mark.parametrize("script", blocks("sh"))
def test_a_script_is_valid_shell(script: str) -> None:
    check = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)

    assert (check.returncode, check.stderr) == (0, "")


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert {word for words in words_after("make") for word in words} <= targets


def test_every_command_exists() -> None:
    for first, *rest in words_after("users-api"):
        command = main.commands[first]
        assert not rest or not isinstance(command, Group) or rest[0] in command.commands, (first, *rest)


def test_every_link_target_exists() -> None:
    links = [(name, link) for name, text in PAGES.items() for link in re.findall(r"\]\(([^)#]+)", text)]

    assert [
        link for link in links if not link[1].startswith("http") and not (FOLDERS[link[0]] / link[1]).exists()
    ] == []


def test_every_test_that_security_md_names_exists() -> None:
    named = re.findall(r"`([a-z_/]+/test_[a-z_]+\.py)`", PAGES["SECURITY.md"])

    assert len(named) > 20
    assert [name for name in named if not (ROOT / "tests" / name).is_file()] == []
