"""The faults of a soak test, each injected at a random time for a random duration."""

import os
import random
import signal
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from typing import NamedTuple

import psutil
import psycopg2

from tests.resilience.callers import Caller
from tests.resilience.conftest import frozen, kill
from tests.resilience.load import Load
from tests.support.network import Network
from tests.support.postgres import PostgreSQL
from tests.support.service import Service

# Each of two workers has 200 of them: fewer than REQUESTS_IN_FLIGHT, far more than MAX_CACHED_GREENLETS.
CROWD = 400
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'users-api'"


class Environment(NamedTuple):
    """The environment of the faults."""

    postgres: PostgreSQL
    url: str
    net: Network
    running: Service
    load: Load
    random: random.Random

    def sql(self, statement: str) -> None:
        """Run a statement, independently of the service."""
        with closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True
            connection.cursor().execute(statement)

    def wait(self, longest: float) -> None:
        """Wait for a random time."""
        self.load.over.wait(self.random.uniform(0.1, longest))


def crash(ground: Environment) -> None:
    """Kill and restart PostgreSQL."""
    kill(ground.postgres.process)
    ground.wait(3)
    ground.postgres.start()


def freeze(ground: Environment) -> None:
    """Suspend all processes of PostgreSQL temporarily."""
    with frozen(ground.postgres, 0):
        ground.wait(10)


def terminate(ground: Environment) -> None:
    """Terminate all connections."""
    ground.sql(TERMINATE)


def lock(ground: Environment) -> None:
    """Lock the table temporarily."""
    with closing(psycopg2.connect(ground.url)) as holder:
        holder.cursor().execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        ground.wait(6)


def crowd(ground: Environment) -> None:
    """Open far more client connections than there are database connections and cached greenlets.

    This ends when one request times out. The requests are for existing users, because greenlets of failed
    requests are not cached.
    """
    callers = [Caller(ground.running.port) for _ in range(CROWD)]
    with closing(psycopg2.connect(ground.url)) as holder, ThreadPoolExecutor(CROWD) as pool:
        holder.cursor().execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        asked = [pool.submit(caller, "GET", "/users?limit=1") for caller in callers]
        wait(asked, return_when=FIRST_COMPLETED)
        holder.rollback()
        statuses = {each.result().status for each in asked}
    for caller in callers:
        caller.connection.close()
    assert statuses <= {200, 503}


def refuse_writes(ground: Environment) -> None:
    """Make PostgreSQL read-only temporarily."""
    for statement in ("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"):
        ground.sql(statement)
    ground.wait(3)
    for statement in ("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"):
        ground.sql(statement)


def cut(ground: Environment) -> None:
    """Cut the network temporarily."""
    ground.net.cut()
    ground.wait(10)
    ground.net.mend()


def slow_down(ground: Environment) -> None:
    """Delay the network temporarily."""
    ground.net.delay(ground.random.uniform(0.01, 0.3))
    ground.wait(5)
    ground.net.mend()


def reset(ground: Environment) -> None:
    """Reset all connections to PostgreSQL."""
    ground.net.reset()


def workers(running: Service) -> list[psutil.Process]:
    """Return the worker processes."""
    return psutil.Process(running.process.pid).children()


def kill_a_worker(ground: Environment) -> None:
    """Kill a worker."""
    os.kill(ground.random.choice(workers(ground.running)).pid, signal.SIGKILL)


def reload(ground: Environment) -> None:
    """Replace all workers."""
    ground.running.process.send_signal(signal.SIGHUP)


RESTARTS = (kill_a_worker, reload)
FAULTS = (crash, freeze, terminate, lock, refuse_writes, cut, slow_down, reset)
