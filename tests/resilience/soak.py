"""Mixed load with random faults: no acknowledged write is lost; memory, connections and files do not grow.

Workers are killed and reloaded only in the first half, so that their resource usage in the second half is
comparable.
"""

import argparse
import random
import secrets
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from threading import Thread
from typing import NamedTuple

import psutil

from tests.resilience.callers import Caller, is_refused
from tests.resilience.conftest import LONGEST_REQUEST
from tests.resilience.faults import FAULTS, RESTARTS, Environment, crowd, workers
from tests.resilience.load import Load
from tests.support.network import network
from tests.support.postgres import postgresql
from tests.support.service import service
from tests.support.waiting import until

CONNECTIONS = 16
GROWTH = 1.1
SAMPLE_SECONDS = 1
READS = (
    "/users?limit=100",
    "/users?active=true&limit=1000",
    "/users?email=load.0.0@example.org",
    "/users/0",
    "/ping",
)


class Sample(NamedTuple):
    """The resource usage of the service."""

    memory: int
    files: int
    connections: int


class Observer(Thread):
    """Reads users, and records the resource usage."""

    def __init__(self, ground: Environment) -> None:
        super().__init__()
        self.ground = ground
        self.samples: list[tuple[float, Sample]] = []
        self.reads = 0

    def run(self) -> None:
        """Read until the load ends."""
        caller, paths = Caller(self.ground.running.port), cycle(READS)
        due = time.monotonic()
        while not self.ground.load.over.wait(0.05):
            self.reads += is_refused(caller("GET", next(paths))) is False
            if time.monotonic() > due:
                due += SAMPLE_SECONDS
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    self.samples.append((time.monotonic(), self.sample()))
        caller.connection.close()

    def sample(self) -> Sample:
        """Record the resource usage of the workers once."""
        family = workers(self.ground.running)
        database = sum(
            each.raddr.port == self.ground.net.port
            for worker in family
            for each in worker.net_connections("tcp")
            if each.raddr and each.status == psutil.CONN_ESTABLISHED
        )
        return Sample(
            sum(worker.memory_info().rss for worker in family),
            sum(worker.num_fds() for worker in family),
            database,
        )


def inject_faults(ground: Environment, seconds: float) -> list[str]:
    """Inject faults one after the other, with a full recovery in between, and return their names."""
    start, told = time.monotonic(), []
    while (now := time.monotonic() - start) < seconds:
        fault: Callable[[Environment], None] = ground.random.choice(
            FAULTS if now > seconds / 2 else (*FAULTS, *RESTARTS)
        )
        told.append(fault.__name__)
        print(f"{now:4.0f} s  {fault.__name__}", flush=True)
        fault(ground)
        ground.load.recover()
        crowd(ground)  # After each fault, because a single leak is small and shows only in numbers.
        ground.wait(5)
    return told


def judge(ground: Environment, observer: Observer, faults: list[str]) -> list[str]:
    """Print the results and return the problems."""
    load, (lost, doubled) = ground.load, ground.load.balance()
    since = (load.began + load.ended) / 2
    half = [sample for moment, sample in observer.samples if moment > since]
    first, last = (
        [statistics.median(column) for column in zip(*part, strict=True)]
        for part in (half[: len(half) // 4], half[-len(half) // 4 :])
    )
    longest = max(answer.ended - answer.began for answer in load.answers)
    most = max(sample.connections for _, sample in observer.samples)
    print(
        f"{load.ended - load.began:.0f} s, {len(faults)} faults; "
        f"{len(load.answers) + observer.reads:,} requests, {load.acknowledged():,} acknowledged, "
        f"{len(lost)} lost, {len(doubled)} doubled; longest request {longest:.1f} s\n"
        f"memory of the workers {first[0] / 2**20:.1f} → {last[0] / 2**20:.1f} MiB, "
        f"open files {first[1]:.0f} → {last[1]:.0f}, "
        f"connections to PostgreSQL {first[2]:.0f} → {last[2]:.0f}, at most {most} "
        "(medians of the fifth and the last eighth)"
    )
    checks = {
        f"lost: {lost}": not lost,
        f"doubled: {doubled}": not doubled,
        "a request took too long": longest < LONGEST_REQUEST,
        "too many connections": most <= CONNECTIONS,
        "memory grows": last[0] < GROWTH * first[0],
        "open files grow": last[1]
        <= first[1] + CONNECTIONS,  # A fault may have closed them, and bursts appear in few samples.
    }
    return [text for text, holds in checks.items() if not holds]


def main() -> int:
    """Run the soak test, and return the number of problems."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with postgresql() as postgres:
        url = postgres.create("users_soak")
        with network(url) as (net, way), service(way) as running:
            until(lambda: running.output().count("Application startup complete.") == 2)
            with Load("soak", running.port, url) as load:
                ground = Environment(postgres, url, net, running, load, random.Random(options.seed))  # noqa: S311 -- not a secret.
                observer = Observer(ground)
                observer.start()
                faults = inject_faults(ground, options.seconds)
            observer.join()
            wrong = judge(ground, observer, faults)
    print(*(f"Problem: {text}" for text in wrong), sep="\n", end="")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main())
