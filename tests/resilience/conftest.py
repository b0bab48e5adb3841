"""What the faults need: a PostgreSQL that may be harmed, the service on it, and a load whose account is settled."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from itertools import count
from urllib.parse import urlsplit

import psutil
import pytest

from tests.postgres import PostgreSQL, postgresql
from tests.resilience.load import Load
from tests.resilience.proxies import Program, pgbouncer
from tests.resilience.report import TABLE, Row, table
from tests.server import Service, service
from tests.waiting import until

LONGEST_REQUEST = 10
LIVE_SECONDS = 5  # Without an answer for so long the image's health check takes the process for ill; less is nobody's limit.
RECOVERY_SECONDS = 2
FROZEN_SECONDS = 10
ROWS = pytest.StashKey[list[Row]]()

NUMBERS = count()

UnderLoad = Callable[..., AbstractContextManager[Load]]


def pytest_configure(config: pytest.Config) -> None:
    """Begin an empty table."""
    config.stash[ROWS] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table of faults and keep it."""
    if rows := config.stash[ROWS]:
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(table(rows))
        terminalreporter.write_sep("=", "faults")
        terminalreporter.write(table(rows))


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all of its children at once, as a crash does."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for each in family:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait()
    psutil.wait_procs(family)


@contextmanager
def frozen(postgres: PostgreSQL, seconds: float) -> Iterator[None]:
    """Stop all of a server's processes where they are, for so long at least."""
    main = psutil.Process(postgres.process.pid)
    with ExitStack() as thaw:
        for process in (main, *main.children(recursive=True)):  # The first one starts the others.
            with suppress(psutil.NoSuchProcess):  # It has just ended by itself.
                process.suspend()
                thaw.callback(process.resume)
        thawed = time.monotonic() + seconds
        yield
        until(lambda: time.monotonic() > thawed)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgreSQL]:
    """A PostgreSQL server that the tests may harm."""
    with postgresql("-c", "max_connections=80") as server:
        yield server


@pytest.fixture(scope="session", params=[False, True], ids=["direct", "pgbouncer"])
def pooler(request: pytest.FixtureRequest, postgres: PostgreSQL) -> Iterator[Program | None]:
    """PgBouncer between the service and PostgreSQL, or nothing: each fault befalls both."""
    with pgbouncer(postgres) if request.param else nullcontext() as pooler:
        yield pooler


@pytest.fixture(scope="session")
def faulty_url(postgres: PostgreSQL, pooler: Program | None) -> str:
    """The database that the faults befall, as the service reaches it."""
    return postgres.create("users_pooled" if pooler else "users_direct")


@pytest.fixture(scope="session")
def direct_url(postgres: PostgreSQL, faulty_url: str) -> str:
    """The same database, as an operator reaches it and others do who have nothing to do with the service."""
    return postgres.url(urlsplit(faulty_url).path[1:])


@pytest.fixture(scope="session")
def running(faulty_url: str) -> Iterator[Service]:
    """The real server with its two workers on that database."""
    with service(faulty_url) as running:
        yield running


@pytest.fixture
def under_load(request: pytest.FixtureRequest) -> UnderLoad:
    """Puts a service under load; afterwards nothing acknowledged is lost or doubled, and every request had its answer in time."""

    @contextmanager
    def under_load(fault: str, running: Service, *, port: int = 0, broken: int = 0, gone: bool = False) -> Iterator[Load]:
        """Name the fault and its service; `port` leads there otherwise, `broken` connections may end, it may be `gone`."""
        with Load(f"load{next(NUMBERS)}", port or running.port) as load:
            yield load
        lost, doubled = load.balance(running.environment["DATABASE_URL"])
        answers = load.answers
        pooled = "pooler" in request.fixturenames and request.getfixturevalue("pooler") is not None
        row = Row(fault, pooled, len(answers), load.acknowledged(), len(lost), len(doubled), load.longest_outage())
        request.config.stash[ROWS].append(row)
        assert (lost, doubled) == ([], [])
        unanswered = [answer for answer in answers if answer.status is None and not (gone and answer.refused)]
        assert len(unanswered) <= broken, unanswered
        assert max(answer.ended - answer.began for answer in answers) < LONGEST_REQUEST
        assert sum(answer.status != 200 and not (gone and answer.refused) for answer in load.witness.answers) <= broken
        assert gone or max(answer.ended - answer.began for answer in load.witness.answers) < LIVE_SECONDS

    return under_load
