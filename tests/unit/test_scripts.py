"""The scripts of `make check`: what they find, also without Git, and without vulnerability data."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_server
from threading import Thread
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
ENVIRONMENT = {"NO_PROXY": "127.0.0.1"}

# In pieces, so that the search does not find them here.
PEM = "-----BEGIN {}PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0w\n-----END PRIVATE KEY-----"
TOKEN_KEY = "Zm9vYmFyYmF6cXV4" + "cXV1eGNvcmdlZ3JhdWx0Z2FycGx"
SECRETS = {
    "AWS Access Key": "AKIA" + "IOSFODNN7QWERTYU",
    "Private Key": PEM.replace("{}", ""),
    "Token Key": f"TOKEN_KEYS={TOKEN_KEY}",
    "Basic Auth Credentials": "postgresql://users:" + "c7Rk2-9xTqLm@db.example.org/users",
}


@pytest.fixture
def find(root: Path, tmp_path: Path) -> Run:
    """Runs `scripts/find-secrets` on a folder without Git, or with a Git that lists these files."""

    def find(*listed: str) -> subprocess.CompletedProcess[str]:
        programs = tmp_path.with_name(f"{tmp_path.name}-programs")
        programs.mkdir(exist_ok=True)
        if listed:
            names = "".join(f"{name}\\0" for name in listed)
            (programs / "git").write_text(f"#!/bin/sh\nprintf '{names}'\n")
            (programs / "git").chmod(0o755)
        command = [sys.executable, root / "scripts" / "find-secrets", tmp_path]
        environment = os.environ | {"PATH": f"{programs}:/bin" if listed else str(programs)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return find


FORMS = {
    "settings.env": "{}",
    "page.md": "Text\n\n```\n{}\n```",
    "module.py": 'TEXT = """\n{}\n"""',
    "value.yaml": "text: |\n  {}",
    "comment.yml": "name: value  # {}\nother: value\n",
    "file.ini": "[part]\nname = {}\n",
    "file": "{}",
    "package-lock.json": '{"text": "{}"}',
    "requirements/run.txt": "--index-url {}",
    "swagger/page.html": "<p>{}</p>",
}
INDENTATION = {"value.yaml": "\n  ", "comment.yml": "\n  # "}


def test_secrets_are_found_in_every_kind_of_file(find: Run, tmp_path: Path) -> None:
    text = "\n".join(SECRETS.values())
    for name, form in FORMS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(form.replace("{}", text.replace("\n", INDENTATION.get(name, "\n"))))

    found = find()

    assert found.returncode == 1
    lines = [re.sub(r":\d+: ", ": ", line) for line in found.stdout.splitlines()]
    assert set(lines) >= {f"{name}: {kind}" for name in FORMS for kind in SECRETS}
    assert [each for each in SECRETS.values() if each in found.stdout + found.stderr] == []


def test_a_finding_names_the_line(find: Run, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"a:\n\n# b\nc: {{d: [{SECRETS['AWS Access Key']}]}}\n")

    assert find().stdout == "a.yaml:4: AWS Access Key\n"


EXAMPLES = [
    "DATABASE_URL=postgresql://USER:PASSWORD@HOST/NAME",
    "DATABASE_URL=postgresql://ada:secret@db/users",
    "DATABASE_URL=postgresql://users:${POSTGRES_PASSWORD}@db/users",
    f"{SECRETS['AWS Access Key']}  # pragma: allowlist secret",
    f"{SECRETS['Token Key']}  # pragma: allowlist secret",
    "TOKEN_KEYS=KEY",
    "password: users_api.handlers.keys.check",
    f'"integrity": "sha512-{"aB3" * 28}xy=="',
]


def test_examples_and_reviewed_lines_are_no_secrets(find: Run, tmp_path: Path) -> None:
    for number, line in enumerate(EXAMPLES):
        for suffix in ("env", "py", "yaml"):
            (tmp_path / f"{number}.{suffix}").write_text(line)

    assert find().stdout == f"No secrets in {3 * len(EXAMPLES)} files.\n"


def test_a_binary_file_is_no_text(find: Run, tmp_path: Path) -> None:
    (tmp_path / "file.png").write_bytes(b"\x89PNG\0" + SECRETS["AWS Access Key"].encode())

    assert find().returncode == 0


def test_with_git_the_files_that_it_lists_are_searched(find: Run, tmp_path: Path) -> None:
    for name in ("listed.env", "ignored.env"):
        (tmp_path / name).write_text(SECRETS["AWS Access Key"])

    assert find("listed.env", "deleted.env").stdout == "listed.env:1: AWS Access Key\n"


def test_without_git_the_files_that_gitignore_does_not_exclude_are_searched(
    find: Run, tmp_path: Path
) -> None:
    for name in ("a/b/kept.env", "kept", ".venv/lib/a.py", "a/__pycache__/b", "a.egg-info/b", ".coverage.1"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(SECRETS["AWS Access Key"])
    (tmp_path / ".gitignore").write_text(".venv/\n__pycache__/\n*.egg-info/\n.coverage*\n")

    assert find().stdout == "a/b/kept.env:1: AWS Access Key\nkept:1: AWS Access Key\n"


def test_a_file_without_findings_is_searched_again_when_it_changes(find: Run, tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / ".gitignore").write_text("build/\n")
    (tmp_path / "a.env").write_text("nothing")
    first = find()
    (tmp_path / "a.env").write_text(SECRETS["AWS Access Key"])

    second, third = find(), find()

    assert (first.returncode, first.stdout) == (0, "No secrets in 2 files.\n")
    assert second.stdout == third.stdout == "a.env:1: AWS Access Key\n"
    assert len(json.loads((tmp_path / "build" / "files-without-secrets.json").read_text())) == 1


class Database(BaseHTTPRequestHandler):
    """A database of vulnerabilities with the interface of osv.dev: old releases of Jinja2 are vulnerable."""

    status = 200
    is_empty = False
    asked: list[str]

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = query["package"]["name"]
        self.asked.append(name)
        is_known = not self.is_empty and (name, query["version"]) == ("jinja2", "2.4.1")
        body = json.dumps({"vulns": [VULNERABILITY]} if is_known else {}).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Print nothing."""


VULNERABILITY = {
    "id": "EXAMPLE-1",
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.7.3"}]}],
        }
    ],
}


@contextmanager
def database(**differences: Any) -> Iterator[tuple[str, list[str]]]:
    """Yield the URL of a database, and the names that it is asked about."""
    handler = type("ThisDatabase", (Database,), differences | {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query", handler.asked
        server.shutdown()


@pytest.fixture
def audit(root: Path, tmp_path: Path) -> Run:
    """Runs `scripts/audit` on a file with these requirements, or on those of the project."""

    def audit(url: str, requirements: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "requirements.txt").write_text(requirements)
        command = [sys.executable, root / "scripts" / "audit"]
        files = [tmp_path / "requirements.txt"] if requirements else []
        variables = os.environ | ENVIRONMENT | {"OSV_URL": url} | environment
        return subprocess.run([*command, *files], env=variables, capture_output=True, text=True, check=False)

    return audit


@pytest.mark.parametrize(
    ("requirements", "status", "lines"),
    [
        (
            "jinja2==2.4.1\nflask==3.1.0\n",
            1,
            [
                "jinja2 2.4.1: EXAMPLE-1, fixed in 2.7.3",
                "1 of 2 audited dependencies have known vulnerabilities.",
            ],
        ),
        ("flask==3.1.0\n", 0, ["0 of 1 audited dependencies have known vulnerabilities."]),
        (
            "flask==3.1.0\nown @ https://example.org/own-1.zip\n",
            0,
            [
                "Dependency audit incomplete: 1 could not be audited: own.",
                "0 of 1 audited dependencies have known vulnerabilities.",
            ],
        ),
    ],
)
def test_vulnerable_dependencies_fail_the_audit(
    audit: Run, requirements: str, status: int, lines: list[str]
) -> None:
    with database() as (url, _):
        done = audit(url, requirements)

    assert (done.returncode, done.stdout.splitlines()) == (status, lines), done.stderr


def test_the_locked_dependencies_are_audited(audit: Run, root: Path) -> None:
    locked = "".join((root / "requirements" / f"{name}.txt").read_text() for name in ("run", "dev"))

    with database() as (url, asked):
        done = audit(url)

    assert done.returncode == 0, done.stderr
    assert {"connexion", "gunicorn", "schemathesis", "pip-audit"} < set(asked)
    assert set(asked) - set(re.findall(r"^([a-z0-9-]+)==", locked, re.MULTILINE)) == {"jinja2"} - set(asked)


def test_a_requirement_that_cannot_be_read_fails_the_audit(audit: Run) -> None:
    with database() as (url, _):
        done = audit(url, "flask>=3.1.0\n")

    assert (done.returncode, done.stdout) == (1, "")
    assert "flask is not pinned to an exact version" in done.stderr


@pytest.mark.parametrize(
    ("differences", "reason"),
    [
        ({"is_empty": True}, "has no vulnerability data"),
        ({"status": 404}, "responds 404"),
        ({"status": 503}, "responds 503"),
    ],
)
def test_without_vulnerability_data_the_audit_is_skipped(
    audit: Run, differences: dict[str, Any], reason: str
) -> None:
    with database(**differences) as (url, asked):
        done = audit(url)

    assert (done.returncode, done.stdout) == (0, f"Dependency audit skipped: {url} {reason}.\n")
    assert asked == ["jinja2"]


def test_a_service_that_is_not_there_skips_the_audit(audit: Run) -> None:
    with closing(create_server(("127.0.0.1", 0))) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"

    done = audit(url)

    assert done.returncode == 0
    assert re.fullmatch(f"Dependency audit skipped: {url} cannot be reached .*\\.\n", done.stdout)


def test_a_service_that_does_not_respond_skips_the_audit(audit: Run) -> None:
    with closing(create_server(("127.0.0.1", 0))) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"

        done = audit(url, PROBE_SECONDS="0.1")

    assert done.returncode == 0
    assert done.stdout.startswith(f"Dependency audit skipped: {url} ")
    assert done.stdout.count("\n") == 1


def test_an_audit_that_takes_too_long_is_skipped(audit: Run) -> None:
    with database() as (url, _):
        done = audit(url, AUDIT_SECONDS="0.001")

    assert (done.returncode, done.stdout) == (0, "Dependency audit skipped: no result within 0.001 s.\n")
