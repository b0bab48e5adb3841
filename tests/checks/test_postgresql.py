"""A PostgreSQL server and database with one thing out of order in each test."""

import re
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest

from tests.checks.outcome import NEWEST, Deployment, Outcome
from tests.checks.relay import PROCESS_ID, VERSION, relay
from tests.support.certificates import write_certificate
from tests.support.postgres import PostgreSQL
from users_api.checks.findings import State
from users_api.checks.postgresql import judge_version

Check = Callable[..., Outcome]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user may read; those of pytest are private."""
    with tempfile.TemporaryDirectory(prefix="users-checks-") as folder:
        yield Path(folder)


def test_everything_is_in_order(check: Check, deployment: Deployment) -> None:
    found = check(DATABASE_URL=deployment.url)

    assert set(found.states("database").values()) == {"ok"}
    assert found["database.tls"] == [("ok", "not used, the server is on this machine")]
    assert found["database.timeouts"] == [("ok", "statement 5 s, lock 4 s, idle transaction 10 s")]


@pytest.mark.parametrize(
    ("number", "finding"),
    [
        ("0001", ("problem", f"0001; the newest is {NEWEST}")),
        ("0999", ("ok", "0999, of a newer version, which this one can use")),
        ("unknown", ("problem", "'unknown' is no migration of this service")),
    ],
)
def test_the_migration_is_compared_with_the_newest(
    check: Check, deployment: Deployment, number: str, finding: tuple[str, str]
) -> None:
    deployment.run(f"UPDATE alembic_version SET version_num = '{number}'")  # noqa: S608 -- see above.

    assert check(DATABASE_URL=deployment.url)["database.migration"] == [finding]


def test_a_failing_check_does_not_prevent_the_others(check: Check, deployment: Deployment) -> None:
    with closing(psycopg2.connect(deployment.owner)) as other:
        other.cursor().execute("LOCK TABLE alembic_version")

        found = check(DATABASE_URL=deployment.url, DATABASE_LOCK_TIMEOUT="0.1")

    assert found["database.migration"][0][0] == "problem"
    assert "canceling statement due to lock timeout" in found["database.migration"][0][1]
    assert found.states("database")["privileges"] == "ok"


def test_an_unreachable_server_is_reported_and_nothing_else_about_it(check: Check) -> None:
    with closing(socket.socket()) as unused:  # Bound but not listening, so that it refuses connections.
        unused.bind(("127.0.0.1", 0))
        found = check(DATABASE_URL=f"postgresql://users@127.0.0.1:{unused.getsockname()[1]}/users")

    states = found.states("database")
    assert (states.pop("connection"), set(states.values())) == ("problem", {"not_checked"})
    assert "Connection refused" in found["database.connection"][0][1]
    assert found.advice("database.connection")[0].startswith("Compare DATABASE_URL")
    assert found["database.migration"] == [("not_checked", "needs the check `connection`")]
    assert found["document.document"][0][0] == "ok"


@pytest.mark.parametrize(
    ("where", "needed"),
    [("ROLE", "17 needed, the role {0} allows 16"), ("DATABASE", "17 needed, the database {0} allows 16")],
)
def test_a_limit_below_the_pool_is_a_problem(
    check: Check, deployment: Deployment, where: str, needed: str
) -> None:
    deployment.run(f"ALTER {where} {deployment.role} CONNECTION LIMIT 16")

    found = check(DATABASE_URL=deployment.url, DATABASE_CONNECTIONS="17", WEB_CONCURRENCY="1")

    assert found["database.capacity"] == [("problem", needed.format(deployment.role))]
    (advice,) = found.advice("database.capacity")
    assert advice.startswith(
        f"Run ALTER {where} {deployment.role} CONNECTION LIMIT 34, enough for two instances"
    )
    assert check(DATABASE_URL=deployment.url)["database.capacity"] == [
        ("ok", "16 needed for each instance, 16 of 16 free")
    ]


def test_connections_of_others_are_a_warning(check: Check, deployment: Deployment) -> None:
    deployment.run(f"ALTER ROLE {deployment.role} CONNECTION LIMIT 17")

    with ExitStack() as others:
        for name in ("psql", "psql", "users-api"):
            others.enter_context(closing(psycopg2.connect(deployment.url, application_name=name)))
        found = check(DATABASE_URL=deployment.url)

    assert found["database.capacity"] == [
        ("warning", f"16 needed, the role {deployment.role} allows 17, of which others use 2")
    ]


def test_max_connections_limits_the_pool(check: Check, deployment: Deployment) -> None:
    found = check(DATABASE_URL=deployment.url, DATABASE_CONNECTIONS="98")

    assert found["database.capacity"] == [("problem", "98 needed, the server (max_connections) allows 97")]


def test_the_limits_of_roles_do_not_bind_superusers(check: Check, deployment: Deployment) -> None:
    deployment.run(
        f"ALTER ROLE {deployment.role} SUPERUSER CONNECTION LIMIT 1;"
        f"ALTER DATABASE {deployment.role} CONNECTION LIMIT 1"
    )

    assert check(DATABASE_URL=deployment.url).states("database")["capacity"] == "ok"


def test_a_worker_that_issues_tokens_needs_one_more(check: Check, deployment: Deployment) -> None:
    found = check(DATABASE_URL=deployment.url, AUTH="required", TOKEN_KEYS="1" * 64)

    assert found["database.capacity"][0][1].startswith("18 needed for each instance")


def test_a_pooler_has_limits_of_its_own(check: Check, postgres: PostgreSQL, deployment: Deployment) -> None:
    with relay(postgres.port, PROCESS_ID) as port:
        found = check(DATABASE_URL=deployment.url.replace(f":{postgres.port}/", f":{port}/"))

    assert ", through a connection pooler, in " in found["database.connection"][0][1]
    assert found["database.capacity"] == [("ok", "16 needed from the pooler, whose own limits apply")]


def test_another_encoding_is_a_problem(check: Check, postgres: PostgreSQL) -> None:
    name = f"latin_{uuid4().hex[:8]}"
    with closing(psycopg2.connect(postgres.url("postgres"))) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0")

    found = check(DATABASE_URL=postgres.url(name))

    assert found["database.encoding"] == [("problem", "LATIN1; the service needs UTF8")]
    assert found["database.migration"] == [("problem", f"none; the newest is {NEWEST}")]


def test_a_read_only_role_is_a_problem(check: Check, deployment: Deployment) -> None:
    deployment.run(f"ALTER ROLE {deployment.role} SET default_transaction_read_only = on")

    found = check(DATABASE_URL=deployment.url)

    assert found["database.server"][1] == ("problem", "transactions are read-only by default")


def test_a_standby_is_a_problem(check: Check, folder: Path) -> None:
    standby = PostgreSQL(folder)
    (standby.data / "standby.signal").touch()
    standby.start()
    try:
        found = check(DATABASE_URL=standby.url("postgres"))
    finally:
        standby.stop()

    assert found["database.server"][1] == ("problem", "the server is a standby, which accepts no writes")


def test_a_statement_without_a_limit_is_a_warning(check: Check, deployment: Deployment) -> None:
    unlimited = check(DATABASE_URL=deployment.url, DATABASE_STATEMENT_TIMEOUT="0")
    deployment.run(f"ALTER ROLE {deployment.role} SET statement_timeout = '3s'")
    limited = check(DATABASE_URL=deployment.url, DATABASE_STATEMENT_TIMEOUT="0")

    assert unlimited["database.timeouts"] == [("warning", "no limit for statement_timeout")]
    assert limited["database.timeouts"] == [("ok", "statement 3 s, lock 4 s, idle transaction 10 s")]


def test_a_changed_collation_is_a_warning_and_the_advice_ends_it(check: Check, postgres: PostgreSQL) -> None:
    name = f"collated_{uuid4().hex[:8]}"
    with closing(psycopg2.connect(postgres.url("postgres"))) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"
        )
        cursor.execute("UPDATE pg_database SET datcollversion = '0' WHERE datname = %s", [name])

    found = check(DATABASE_URL=postgres.url(name))

    assert found["database.collation"] == [
        ("warning", "the system's version is 1, indexes were built with 0")
    ]
    (advice,) = found.advice("database.collation")
    Deployment(postgres.url(name), "", "").run(advice.removeprefix("Run "))
    assert check(DATABASE_URL=postgres.url(name)).states("database")["collation"] == "ok"


def test_emails_that_do_not_compare_as_bytes_are_a_problem(check: Check, deployment: Deployment) -> None:
    deployment.run('ALTER TABLE users ALTER email TYPE varchar(128) COLLATE "POSIX"')

    found = check(DATABASE_URL=deployment.url)

    assert found["database.collation"] == [
        ("problem", "emails have the collation POSIX, so that their lower case depends on it")
    ]
    (advice,) = found.advice("database.collation")
    deployment.run(advice.removeprefix("Run "))
    assert check(DATABASE_URL=deployment.url)["database.collation"] == [("ok", "C, and C for emails")]


@pytest.mark.parametrize(
    ("shift", "state", "text"),
    [
        ("+ interval '10 s'", "warning", "s ahead of this machine"),
        ("- interval '10 s'", "warning", "s behind this machine"),
        ("+ interval '60 s'", "problem", "s ahead of this machine"),
    ],
)
def test_clocks_that_differ_are_reported(
    check: Check, deployment: Deployment, shift: str, state: str, text: str
) -> None:
    deployment.run(
        "CREATE SCHEMA shifted; CREATE FUNCTION shifted.clock_timestamp() RETURNS timestamptz LANGUAGE sql "
        f"RETURN pg_catalog.clock_timestamp() {shift}; GRANT USAGE ON SCHEMA shifted TO {deployment.role};"
        f"ALTER ROLE {deployment.role} SET search_path = shifted, public, pg_catalog"
    )

    found = check(DATABASE_URL=deployment.url)

    assert found["database.clock"][0][0] == state
    assert found["database.clock"][0][1].endswith(text)


def test_a_server_that_is_no_longer_maintained_is_a_warning(
    check: Check, postgres: PostgreSQL, deployment: Deployment
) -> None:
    deployment.run(f"UPDATE pg_database SET datcollversion = '0' WHERE datname = '{deployment.role}'")  # noqa: S608 -- as above.

    with relay(postgres.port, VERSION) as port:
        found = check(DATABASE_URL=deployment.url.replace(f":{postgres.port}/", f":{port}/"))

    assert found["database.server"][0][0] == "warning"
    assert found["database.server"][0][1].endswith(" gets no more fixes")
    assert found["database.collation"] == [("ok", "C, and C for emails")]


@pytest.mark.parametrize(
    ("number", "state"),
    [(90624, State.PROBLEM), (140020, State.WARNING), (150018, State.OK), (180006, State.OK)],
)
def test_old_versions_of_the_server_are_reported(number: int, state: State) -> None:
    assert judge_version(number).state is state


def test_tls_is_shown(check: Check, postgres: PostgreSQL, deployment: Deployment, folder: Path) -> None:
    write_certificate(folder / "certificate.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "certificate.pem")

    with relay(postgres.port, tls=context) as port:
        url = deployment.url.replace(f":{postgres.port}/", f":{port}/")
        found = check(DATABASE_URL=f"{url}?sslmode=require")

    assert found["database.tls"] == [("ok", "TLSv1.3, sslmode=require")]


def test_a_server_elsewhere_without_tls_is_a_warning(check: Check, deployment: Deployment) -> None:
    # Another spelling of 127.0.0.1: the check compares names, and does not resolve them.
    found = check(DATABASE_URL=deployment.url.replace("127.0.0.1", "127.1"))

    assert found["database.tls"] == [("warning", "not used: the network can read passwords and users")]


@pytest.fixture
def protected(folder: Path) -> Iterator[PostgreSQL]:
    """A server that asks the role `ada` for a password."""
    server = PostgreSQL(folder)
    rules = server.data / "pg_hba.conf"
    rules.write_text("host all ada 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
    server.start()
    Deployment(server.url("postgres"), "", "").run("CREATE ROLE ada LOGIN PASSWORD 'correct-horse'")
    yield server
    server.stop()


def test_a_wrong_password_is_reported_but_not_shown(check: Check, protected: PostgreSQL) -> None:
    url = protected.url("postgres").replace("users@", "ada:wr0ng%20horse@")

    found = check(DATABASE_URL=url)

    assert 'password authentication failed for user "ada"' in found["database.connection"][0][1]
    assert re.search("wr0ng|horse", str(found.report)) is None
    assert check(DATABASE_URL=url.replace("wr0ng%20", "correct-"))["database.connection"][0][0] == "ok"
