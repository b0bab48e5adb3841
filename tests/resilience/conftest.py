"""Fixtures of the faults: a PostgreSQL that may break, the service on it, a load that checks its record."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from itertools import count
from urllib.parse import urlsplit

import psutil
import pytest

from tests.resilience.callers import Token
from tests.resilience.load import Load
from tests.resilience.neighbours import MAX_SLOWDOWN
from tests.resilience.proxies import pgbouncer
from tests.resilience.report import TABLE
from tests.support.fault_table import Row, table
from tests.support.postgres import PostgreSQL, postgresql
from tests.support.programs import Program
from tests.support.service import Service, service
from tests.support.waiting import until

LONGEST_REQUEST = 10
LIVE_SECONDS = (
    5  # After this time without a response, the image's health check fails; no client has a shorter limit.
)
RECOVERY_SECONDS = 2
FROZEN_SECONDS = 10
ROWS = pytest.StashKey[list[Row]]()

NUMBERS = count()

UnderLoad = Callable[..., AbstractContextManager[Load]]


def pytest_configure(config: pytest.Config) -> None:
    """Create an empty table of results."""
    config.stash[ROWS] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print and save the table of faults."""
    if rows := config.stash[ROWS]:
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(table(rows))
        terminalreporter.write_sep("=", "faults")
        terminalreporter.write(table(rows))


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all of its children at once, as in a crash."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for each in family:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait()
    psutil.wait_procs(family)


@contextmanager
def frozen(postgres: PostgreSQL, seconds: float) -> Iterator[None]:
    """Suspend all processes of a server for at least this time."""
    main = psutil.Process(postgres.process.pid)
    with ExitStack() as thaw:
        for process in (main, *main.children(recursive=True)):  # The first one starts the others.
            with suppress(psutil.NoSuchProcess):  # The process has just ended.
                process.suspend()
                thaw.callback(process.resume)
        thawed = time.monotonic() + seconds
        yield
        until(lambda: time.monotonic() > thawed)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgreSQL]:
    """A PostgreSQL server into which the tests inject faults."""
    with postgresql("-c", "max_connections=80") as server:
        yield server


@pytest.fixture(scope="session", params=[False, True], ids=["direct", "pgbouncer"])
def pooler(request: pytest.FixtureRequest, postgres: PostgreSQL) -> Iterator[Program | None]:
    """PgBouncer between the service and PostgreSQL, or nothing: each fault is injected in both cases."""
    with pgbouncer(postgres) if request.param else nullcontext() as pooler:
        yield pooler


@pytest.fixture(scope="session")
def faulty_url(postgres: PostgreSQL, pooler: Program | None) -> str:
    """The database that the faults affect, as the service connects to it."""
    return postgres.create("users_pooled" if pooler else "users_direct")


@pytest.fixture(scope="session")
def direct_url(postgres: PostgreSQL, faulty_url: str) -> str:
    """The same database, as operators and unrelated clients connect to it."""
    return postgres.url(urlsplit(faulty_url).path[1:])


@pytest.fixture(scope="session")
def running(faulty_url: str) -> Iterator[Service]:
    """The real server with two workers on that database."""
    with service(faulty_url) as running:
        yield running


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[[Row], None]:
    """Adds a row to the table of results."""
    return request.config.stash[ROWS].append


@pytest.fixture
def under_load(request: pytest.FixtureRequest, record: Callable[[Row], None]) -> UnderLoad:
    """Puts a service under load; no acknowledged write is lost or doubled, and all responses are in time."""

    @contextmanager
    def under_load(  # noqa: PLR0913 -- each is a fact of its own, and all are named.
        fault: str,
        running: Service,
        *,
        port: int = 0,
        broken: int = 0,
        gone: bool = False,
        token: Token | None = None,
    ) -> Iterator[Load]:
        """Name the fault; `port` overrides the service's, `broken` connections close, it may be `gone`."""
        url = running.environment["DATABASE_URL"]
        with Load(f"load{next(NUMBERS)}", port or running.port, url, token) as load:
            yield load
        lost, doubled = load.balance()
        answers = load.answers
        pooled = "pooler" in request.fixturenames and request.getfixturevalue("pooler") is not None
        row = Row(
            fault,
            pooled,
            len(answers),
            load.acknowledged(),
            len(lost),
            len(doubled),
            load.longest_outage(),
            load.slowdown,
        )
        record(row)
        assert (lost, doubled) == ([], [])
        unanswered = [answer for answer in answers if answer.status is None and not (gone and answer.refused)]
        assert len(unanswered) <= broken, unanswered
        assert max(answer.ended - answer.began for answer in answers) < LONGEST_REQUEST
        assert (
            sum(answer.status != 200 and not (gone and answer.refused) for answer in load.witness.answers)
            <= broken
        )
        assert gone or max(answer.ended - answer.began for answer in load.witness.answers) < LIVE_SECONDS
        assert load.slowdown is None or load.slowdown <= MAX_SLOWDOWN

    return under_load
