"""Executes the steps of `docs/extending.md` on a copy of the checkout.

A block of code below `Create`, `At the end of` or `In` with a file's name is a change of that file; a block
of console lines is a session in the copy's folder. There are no other blocks.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import NamedTuple

BLOCK = re.compile(r"([^\n]*)\n\n```(\w+)\n(.*?)```$", re.DOTALL | re.MULTILINE)
CHANGE = re.compile(r"(Create|At the end of|In) `([^`]+)`(?:, (above|below|in place of) `([^`]+)`)?:")
LEFT_OUT = shutil.ignore_patterns(".*", "build", "dist", "instance", "node_modules", "results", "__pycache__")
FOREIGN = re.compile("APP_SETTINGS|AUTH|TOKEN_KEYS|DATABASE_|COVERAGE_|COV_|PYTEST_|MAKE|MFLAGS")
BIN = Path(sys.executable).parent


class Change(NamedTuple):
    """A code block to insert into a file."""

    how: str
    file: str
    place: str | None
    anchor: str | None
    text: str

    def apply(self, folder: Path) -> None:
        """Write the text into the folder's file; the anchor is one whole line, white space aside.

        Raises:
            ValueError: the file has no such line, or several.
        """
        path = folder / self.file
        if self.how == "In":
            lines = path.read_text().splitlines(keepends=True)
            (at,) = (number for number, line in enumerate(lines) if line.strip() == self.anchor)
            lines[at + (self.place == "below") : at + (self.place != "above")] = [self.text]
            path.write_text("".join(lines))
        else:
            path.write_text((path.read_text() if self.how == "At the end of" else "") + self.text)


class Session(NamedTuple):
    """A command, and what the page shows of its output."""

    command: str
    shown: str


def steps(page: str) -> Iterator[Change | Session]:
    """Yield the page's steps in order."""
    for line, language, text in BLOCK.findall(page):
        if language == "console":
            for part in text.removeprefix("$ ").split("\n$ "):
                command, _, shown = part.partition("\n")
                yield Session(command, shown)
        else:
            yield Change(*CHANGE.search(line).groups(), text)


class Copy:
    """A copy of the checkout, in which commands use this environment's programs and the copy's code."""

    def __init__(self, root: Path, folder: Path) -> None:
        shutil.copytree(root, folder, ignore=LEFT_OUT)
        for name in (".yamllint", ".squawk.toml", ".gitignore"):
            shutil.copy(root / name, folder)
        self.folder, self.played = folder, list[tuple[Session, CompletedProcess[str]]]()
        settings = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.environment = {
            name: value for name, value in os.environ.items() if not FOREIGN.match(name)
        } | settings

    def run(self, *command: str | Path, **environment: str) -> CompletedProcess[str]:
        """Run a command in the folder; stdout and stderr are captured together."""
        where = {"cwd": self.folder, "env": self.environment | environment}
        return subprocess.run(
            command, **where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )

    def follow(self, step: Change | Session) -> None:
        """Execute a step, and store the result of a session."""
        if isinstance(step, Change):
            step.apply(self.folder)
        else:
            self.played.append((step, self.play(step)))

    def play(self, session: Session) -> CompletedProcess[str]:
        """Run a command of the page; make has nothing to install."""
        words = shlex.split(session.command)
        if words[0] == "make":
            words[1:1] = [f"BIN={BIN}", "--old-file=.venv/dev.stamp", "--no-print-directory"]
        return self.run(*words)
