"""Runs Schemathesis: over HTTP against the real server on PostgreSQL, or in its own process on SQLite."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

from tests.support.postgres import PostgreSQL, postgresql
from tests.support.service import COMMAND, service

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
REPORTS = ROOT / "build" / "fuzz"
SCHEMATHESIS = (COMMAND.with_name("schemathesis"), "--config-file", HERE / "schemathesis.toml")
DOCUMENT = ROOT / "openapi" / "users.yaml"


def over_http(postgres: PostgreSQL, *options: str, verb: str = "run") -> subprocess.CompletedProcess[str]:
    """Run over HTTP on a fresh database, with one worker, because several could respond in another order."""
    database = postgres.create(f"fuzz_{os.urandom(4).hex()}")
    with service(database, WEB_CONCURRENCY="1") as running:
        return _run(verb, database, "--url", running.url, *options)


def in_process(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run with the application in the same process, through ASGI, on an empty database."""
    subprocess.run([COMMAND, "db", "upgrade"], env=_environment(url), check=True, capture_output=True)
    return _run("run", url, "--url", "http://testserver", *options, FUZZ_IN_PROCESS="1")


def reports(name: str) -> tuple[str, ...]:
    """Return the options that write all reports of a run to its directory in build/fuzz."""
    files = {"junit": "junit.xml", "ndjson": "events.ndjson", "html": "html"}
    return f"--report={','.join(files)}", *(
        f"--report-{kind}-path={REPORTS / name / file}" for kind, file in files.items()
    )


def _run(verb: str, database: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [*SCHEMATHESIS, verb, DOCUMENT, *options]
    return subprocess.run(command, cwd=ROOT, env=_environment(database) | environment, check=False)


def _environment(database: str) -> dict[str, str]:
    return os.environ | {"APP_SETTINGS": "users_api.config.TestingConfig", "DATABASE_TEST_URL": database}


if __name__ == "__main__":
    with postgresql() as server:
        sys.exit(over_http(server, f"--seed={secrets.randbits(32)}", *sys.argv[1:], verb="fuzz").returncode)
