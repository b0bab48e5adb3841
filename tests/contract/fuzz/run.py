"""Runs Schemathesis: over HTTP against the real server on PostgreSQL, or in its own process on SQLite."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.issued import EVERYTHING, HEADER, OWN_ISSUER, SCOPES, claims
from tests.support.postgres import PostgreSQL, postgresql
from tests.support.secured import ISSUING
from tests.support.service import COMMAND, Service, service
from users_api.access.keys import SigningKeys, generate_key
from users_api.document import OPEN, Parts, load_document

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
REPORTS = ROOT / "build" / "fuzz"
SCHEMATHESIS = (COMMAND.with_name("schemathesis"), "--config-file", HERE / "schemathesis.toml")
SECURED = Parts(rate_limits=False)
"""The document of a service with AUTH=required."""
NO_CREDENTIALS = {"FUZZ_TOKEN": "", "FUZZ_CLIENT_ID": "", "FUZZ_CLIENT_SECRET": ""}
# Schemathesis 4.32 fails with "dictionary changed size during iteration" when this check sends its requests.
NOT_ENDLESS = "--exclude-checks=ignored_auth"
YEAR_SECONDS = 365 * 24 * 60 * 60
Run = subprocess.CompletedProcess[str]


def over_http(postgres: PostgreSQL, name: str, *options: str, verb: str = "run") -> Run:
    """Run with AUTH=required on a fresh database; several workers could respond in another order."""
    key, database = generate_key(), postgres.create(f"fuzz_{os.urandom(4).hex()}")
    with service(database, WEB_CONCURRENCY="1", AUTH="required", TOKEN_KEYS=key, **ISSUING) as running:
        credentials = _credentials(running, key)
        options = ("--url", running.url, *options)
        return _run(verb, database, write_document(name, SECURED), *options, **credentials)


def without_tokens(url: str, name: str, *options: str) -> Run:
    """Run with AUTH=none but the document of AUTH=required, which says what the service does not do."""
    key = generate_key()
    with service(url, WEB_CONCURRENCY="1") as running:
        credentials = NO_CREDENTIALS | {"FUZZ_TOKEN": _token(key, "client")}
        options = ("--url", running.url, *options)
        return _run("run", url, write_document(name, SECURED), *options, **credentials)


def in_process(url: str, name: str, *options: str) -> Run:
    """Run with AUTH=none and the application in the same process, through ASGI, on an empty database."""
    subprocess.run([COMMAND, "db", "upgrade"], env=_environment(url), check=True, capture_output=True)
    options = ("--url", "http://testserver", *options)
    return _run("run", url, write_document(name, OPEN), *options, **NO_CREDENTIALS, FUZZ_IN_PROCESS="1")


def document_file(name: str) -> Path:
    """Return the file with the document of a run."""
    return REPORTS / name / "openapi.json"


def write_document(name: str, parts: Parts) -> Path:
    """Write the document that a service with these parts serves, and return the file."""
    file = document_file(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(load_document(parts), indent=2))
    return file


def reports(name: str) -> tuple[str, ...]:
    """Return the options that write all reports of a run to its directory in build/fuzz."""
    files = {"junit": "junit.xml", "ndjson": "events.ndjson", "html": "html"}
    return f"--report={','.join(files)}", *(
        f"--report-{kind}-path={REPORTS / name / file}" for kind, file in files.items()
    )


def _credentials(running: Service, key: str) -> Mapping[str, str]:
    """Add a client with all scopes; its token outlives `make fuzz`, unlike those of the service."""
    scopes = [part for scope in SCOPES for part in ("--scope", scope)]
    lines = running.command("clients", "add", "fuzz", *scopes).split()
    client_id, secret = lines[1], lines[3]
    return {
        "FUZZ_TOKEN": _token(key, client_id),
        "FUZZ_CLIENT_ID": client_id,
        "FUZZ_CLIENT_SECRET": secret,
    }


def _token(key: str, client_id: str) -> str:
    """Return a token with all scopes."""
    expires = int(time.time()) + YEAR_SECONDS
    content = claims(OWN_ISSUER, client_id=client_id, scope=EVERYTHING, exp=expires)
    return SigningKeys.parse(key).sign(HEADER, content)


def _run(verb: str, database: str, document: Path, *options: str, **environment: str) -> Run:
    command = [*SCHEMATHESIS, verb, document, *options]
    return subprocess.run(command, cwd=ROOT, env=_environment(database) | environment, check=False)


def _environment(database: str) -> dict[str, str]:
    settings = {
        "APP_SETTINGS": "users_api.config.TestingConfig",
        "AUTH": "none",
        "DATABASE_TEST_URL": database,
    }
    return os.environ | settings


if __name__ == "__main__":
    with postgresql() as server:
        options = (f"--seed={secrets.randbits(32)}", NOT_ENDLESS, *sys.argv[1:])
        sys.exit(over_http(server, "endless", *options, verb="fuzz").returncode)
