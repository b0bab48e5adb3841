"""The operations: the load that wrk generates for each, and the cost of one request."""

import json
import statistics
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import psutil

SCRIPT: Final = Path(__file__).with_name("wrk.lua")


class Operation(NamedTuple):
    """A kind of request; each run replaces `{run}`, wrk.lua replaces `{id}` and `{n}` and pads the body."""

    name: str
    method: str
    path: str
    expected: int = 200
    body: str = ""
    padding: int = 0
    entity_tag: str = ""
    connections: int = 16


OPERATIONS: Final = (
    Operation("ping", "GET", "/ping"),
    Operation("get one", "GET", "/users/{id}"),
    Operation("not modified", "GET", "/users/1", 304),
    Operation("list 100", "GET", "/users?limit=100"),
    Operation("filter by email", "GET", "/users?email=user-{id}@example.org"),
    Operation(
        "PUT", "PUT", "/users/{id}", 200, '{"username": "put {n}", "email": "put-{run}-{n}@example.org"}'
    ),
    Operation("PATCH", "PATCH", "/users/{id}", 200, '{"username": "patched {n}"}'),
    Operation(
        "POST", "POST", "/users", 201, '{"username": "posted {n}", "email": "posted-{run}-{n}@example.org"}'
    ),
    Operation("refused POST", "POST", "/users", 400, '{"username": "refused {n}"}'),
    Operation("DELETE", "DELETE", "/users/{id}"),
)
CROWD: Final = 64
CROWDED: Final = tuple(
    operation._replace(name=f"{operation.name} at {CROWD}", connections=CROWD)
    for operation in OPERATIONS
    if operation.name in {"ping", "get one", "list 100", "PUT", "PATCH", "POST"}
)
NAMED: Final = {operation.name: operation for operation in (*OPERATIONS, *CROWDED)}


class Cost(NamedTuple):
    """The measurements of one run: times in milliseconds, CPU times per request."""

    cpu: float
    database: float
    rate: float
    p50: float
    p99: float
    failures: float
    requests: float


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and its descendants, including finished ones."""
    root = psutil.Process(pid)
    used = 0.0
    for process in (*root.children(recursive=True), root):
        # The process has just finished, so the time of its parent, read later, includes it.
        with suppress(psutil.NoSuchProcess):
            used += sum(process.cpu_times()[:4])
    return used


class Target(NamedTuple):
    """The server under load: its URL, the root processes of server and database, and the number of users."""

    url: str
    processes: tuple[int, int]
    users: int
    token: str = ""


def run(operation: Operation, target: Target, *, seconds: int) -> Cost:
    """Run the load and return the cost of a request on the server and its database."""
    settle(target.processes)
    before = [cpu_seconds(pid) for pid in target.processes]
    load = [
        "wrk",
        "-t1",
        f"-c{operation.connections}",
        f"-d{seconds}s",
        "--timeout=10s",
        f"--script={SCRIPT}",
        target.url,
        "--",
    ]
    body = operation.body.replace("{run}", str(time.time_ns()))
    request = [
        operation.method,
        str(operation.expected),
        operation.path,
        body,
        str(target.users),
        str(operation.padding),
        operation.entity_tag,
        target.token,
    ]
    done = subprocess.run([*load, *request], stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    spent = [cpu_seconds(pid) - start for pid, start in zip(target.processes, before, strict=True)]
    requests = found["requests"]
    cpu, database = (used * 1000 / max(requests, 1) for used in spent)
    failures = found["failures"] + (not requests)
    return Cost(cpu, database, requests / found["seconds"], found["p50"], found["p99"], failures, requests)


def settle(processes: tuple[int, int]) -> None:
    """Wait up to 10 seconds until the requests of an earlier load have finished."""
    deadline = time.monotonic() + 10
    busy = True
    while busy and time.monotonic() < deadline:
        before = sum(map(cpu_seconds, processes))
        time.sleep(0.1)
        busy = sum(map(cpu_seconds, processes)) - before > 0.02


def median(costs: Iterable[Cost]) -> Cost:
    """Return the median of each measurement, and the sums of failures and requests."""
    columns = list(zip(*costs, strict=True))
    return Cost(*map(statistics.median, columns[:-2]), *map(sum, columns[-2:]))
