"""This service beside its peers: each operation on all systems in turn, so that noise on the machine meets all of them."""

import json
import tomllib
import urllib.request
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.load import NAMED, OPERATIONS, Cost, Operation, Target, median, run, settle
from bench.systems import PEERS, SERVICE, Database, System, database, peer, users_api

USERS: Final = 50_000
GOALS: Final[dict[str, dict[str, float]]] = tomllib.loads(Path(__file__).with_name("goals.toml").read_text())
SAME: Final = ("/ping", "/users/1", "/users?limit=100", "/users?email=USER-7@example.org")
Costs = dict[tuple[str, str], Cost]


class Plan(NamedTuple):
    """What to measure, and how long."""

    peers: Sequence[str] = tuple(PEERS)
    operations: Sequence[Operation] = OPERATIONS
    rounds: int = 3
    seconds: int = 2
    connections: int = 16


QUICK: Final = Plan(peers=("tutorial",), rounds=1, seconds=1)
GUARD: Final = Plan(peers=("tutorial",), operations=[NAMED[name] for name in GOALS["tutorial"]], rounds=2)


class FailuresError(Exception):
    """A system did not answer as it must, so its figures say nothing."""


def compare(plan: Plan) -> Costs:
    """Return the median cost of each operation on each system.

    Raises:
        FailuresError: an answer was not the expected one.
    """
    found: dict[tuple[str, str], list[Cost]] = {}
    with ExitStack() as stack:
        shared = stack.enter_context(database())
        systems = [stack.enter_context(users_api(shared)), *(stack.enter_context(peer(name, shared)) for name in plan.peers)]
        shared.reset(USERS)
        _check_answers(systems)
        for system in systems:
            _measure(plan, NAMED["get one"], system, shared)
        for _ in range(plan.rounds):
            shared.reset(USERS)
            for operation, system in product(plan.operations, systems):
                found.setdefault((system.name, operation.name), []).append(_measure(plan, operation, system, shared))
    return {key: median(runs) for key, runs in found.items()}


def ratio(costs: Costs, operation: str, peer: str) -> float:
    """Return this service's CPU time per request as a part of the peer's."""
    return costs[SERVICE, operation].cpu / costs[peer, operation].cpu


def misses(costs: Costs, peers: Iterable[str], *, tolerance: float = 1.0) -> list[str]:
    """Return a line for each operation that costs more than its goal allows, times the tolerance."""
    return [
        f"{operation} costs {found:.2f} of what the {peer} peer takes; the goal is {goal:.2f}"
        for peer in peers
        for operation, goal in GOALS.get(peer, {}).items()
        if (found := ratio(costs, operation, peer)) > goal * tolerance
    ]


def _measure(plan: Plan, operation: Operation, system: System, shared: Database) -> Cost:
    """Return what the operation costs the system; whatever writes finds a fresh table."""
    target = Target(system.url, (system.pid, shared.server.process.pid), USERS)
    if operation.method != "GET":
        shared.reset(USERS)
    cost = run(_with_etag(operation, system), target, seconds=plan.seconds, connections=plan.connections)
    print(
        f"{operation.name:16} {system.name:16} {cost.cpu:7.3f} ms CPU {cost.rate:7.0f}/s {cost.failures:5.0f} failures",
        flush=True,
    )
    settle(target.processes)
    if cost.failures:
        raise FailuresError(system.name, operation.name, cost)
    return cost


def _with_etag(operation: Operation, system: System) -> Operation:
    """Return the operation; one that shall not be answered anew sends the entity tag that the system gave."""
    if operation.expected != 304:
        return operation
    with urllib.request.urlopen(system.url + operation.path) as answer:  # noqa: S310 -- a server of our own.
        return operation._replace(headers=(answer.headers["ETag"],))


def _check_answers(systems: Sequence[System]) -> None:
    """Refuse to compare systems that do not give the same answers."""
    for path in SAME:
        answers = {system.name: _read(system.url + path) for system in systems}
        if different := [name for name, answer in answers.items() if answer != answers[SERVICE]]:
            message = f"{path} is answered differently by {', '.join(different)}"
            raise FailuresError(message)


def _read(url: str) -> Any:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 -- a server of our own.
        return json.load(answer)
