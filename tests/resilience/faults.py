"""What a soak lets happen, each at a random moment and for a random time."""

import os
import random
import signal
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from typing import NamedTuple

import psutil
import psycopg2

from tests.postgres import PostgreSQL
from tests.resilience.callers import Caller
from tests.resilience.conftest import frozen, kill
from tests.resilience.load import Load
from tests.resilience.network import Network
from tests.server import Service

CROWD = 400  # Of two workers each has 200 then, fewer than REQUESTS_IN_FLIGHT and far more than greenlets.MOST_IDLE.
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'users-api'"


class Ground(NamedTuple):
    """Where the faults happen."""

    postgres: PostgreSQL
    url: str
    net: Network
    running: Service
    load: Load
    random: random.Random

    def sql(self, statement: str) -> None:
        """Run a statement beside the service."""
        with closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True
            connection.cursor().execute(statement)

    def wait(self, longest: float) -> None:
        """Return after a random time."""
        self.load.over.wait(self.random.uniform(0.1, longest))


def crash(ground: Ground) -> None:
    """Kill PostgreSQL and start it again."""
    kill(ground.postgres.process)
    ground.wait(3)
    ground.postgres.start()


def freeze(ground: Ground) -> None:
    """Stop every process of PostgreSQL's for a while."""
    with frozen(ground.postgres, 0):
        ground.wait(10)


def terminate(ground: Ground) -> None:
    """End every connection."""
    ground.sql(TERMINATE)


def lock(ground: Ground) -> None:
    """Lock the table for a while."""
    with closing(psycopg2.connect(ground.url)) as holder:
        holder.cursor().execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        ground.wait(6)


def crowd(ground: Ground) -> None:
    """Let far more callers come at once than there are connections and kept fibers, and wait until one has waited in vain.

    For what is there, not for `/users/0`: a fiber that ends by a failure is never kept, so none could be one too many.
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


def refuse_writes(ground: Ground) -> None:
    """Let PostgreSQL be read-only for a while."""
    for statement in ("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"):
        ground.sql(statement)
    ground.wait(3)
    for statement in ("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"):
        ground.sql(statement)


def cut(ground: Ground) -> None:
    """Cut the network for a while."""
    ground.net.cut()
    ground.wait(10)
    ground.net.mend()


def slow_down(ground: Ground) -> None:
    """Slow the network down for a while."""
    ground.net.delay(ground.random.uniform(0.01, 0.3))
    ground.wait(5)
    ground.net.mend()


def reset(ground: Ground) -> None:
    """Reset every connection to PostgreSQL."""
    ground.net.reset()


def workers(running: Service) -> list[psutil.Process]:
    """Return the processes that serve."""
    return psutil.Process(running.process.pid).children()


def kill_a_worker(ground: Ground) -> None:
    """Kill a worker."""
    os.kill(ground.random.choice(workers(ground.running)).pid, signal.SIGKILL)


def reload(ground: Ground) -> None:
    """Put new workers in the place of all."""
    ground.running.process.send_signal(signal.SIGHUP)


RESTARTS = (kill_a_worker, reload)
FAULTS = (crash, freeze, terminate, lock, refuse_writes, cut, slow_down, reset)
