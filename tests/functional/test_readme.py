"""The README's commands do what it shows."""

import re
import shlex
import subprocess
from pathlib import Path

from tests.server import service

DATE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")


def test_the_curl_lines_answer_what_the_readme_shows(root: Path, tmp_path: Path) -> None:
    (session,) = re.findall(r"```console\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    lines = session.splitlines()

    with service(f"sqlite:///{tmp_path}/readme.db") as running:
        for command, shown in zip(lines[::2], lines[1::2], strict=True):
            words = shlex.split(command.removeprefix("$ ").replace("http://127.0.0.1:5000", running.url))
            answer = subprocess.run(words, capture_output=True, text=True, check=True).stdout
            assert DATE.sub("date", answer) == DATE.sub("date", shown), command
