"""Shared fixtures: the images built by `make image`, and a database on a separate network."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.delivery.engine import NEEDS, Database, Databases, container, docker, engine_answers

IMAGE = "users-api-rehearsal"
CERTIFICATE = (
    "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=users-db -keyout - -out -"
)
TLS = """
set -e
echo '{}' >"$PGDATA/server.pem"
chmod 600 "$PGDATA/server.pem"
chown postgres "$PGDATA/server.pem"
psql() {{ command psql --username postgres --quiet --tuples-only --no-align --command "$1"; }}
psql "ALTER SYSTEM SET ssl_cert_file = 'server.pem'"
psql "ALTER SYSTEM SET ssl_key_file = 'server.pem'"
psql "ALTER SYSTEM SET ssl = on"
psql "SELECT pg_reload_conf()"
until [ "$(psql 'SHOW ssl')" = on ]; do sleep 0.1; done
"""
FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> list[str]:
    """Measurements, one per line, printed at the end."""
    return pytestconfig.stash.setdefault(FIGURES, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the measurements."""
    terminalreporter.section("figures")
    for line in config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def engine() -> None:
    """A running Docker Engine; exits the test run without one."""
    if not engine_answers():
        pytest.exit(NEEDS, returncode=1)


@pytest.fixture(scope="session")
def image(engine: None) -> str:
    """The image, together with the images of the tests and the release phase."""
    subprocess.run(
        ["make", "--no-print-directory", "image", f"IMAGE={IMAGE}"], check=True, capture_output=True
    )
    return IMAGE


@pytest.fixture(scope="session")
def network(engine: None) -> Iterator[str]:
    """A network where containers find each other by name."""
    name = "users-api-rehearsal"
    docker("network", "rm", name, check=False)
    docker("network", "create", name)
    yield name
    docker("network", "rm", name)


@pytest.fixture(scope="session")
def databases(image: str, network: str) -> Iterator[Databases]:
    """A PostgreSQL server on the network with TLS, like Heroku's."""
    options = ["--network", network, "--network-alias", "users-db", "--env", "POSTGRES_PASSWORD=postgres"]
    with container("postgres:17-alpine", *options, port=5432) as server:
        docker("exec", server.id, "sh", "-c", "until pg_isready -q -h 127.0.0.1; do sleep 0.1; done")
        certificate = docker("run", "--rm", image, "sh", "-c", CERTIFICATE).stdout
        docker("exec", server.id, "sh", "-c", TLS.format(certificate))
        yield Databases(server, image, network)


@pytest.fixture
def database(databases: Databases, request: pytest.FixtureRequest) -> Database:
    """A migrated database for one test."""
    return databases.create(request.node.name.removeprefix("test_")[:60])
