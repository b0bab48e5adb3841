"""Compares this service with its peers: each operation runs on all systems in turn, so noise affects all."""

import json
import tomllib
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.load import CROWDED, NAMED, OPERATIONS, Cost, Operation, Target, median, run, settle
from bench.systems import PEERS, SERVICE, Database, System, database, peer, users_api

USERS: Final = 20_000
GOALS: Final[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("goals.toml").read_text())
SAME: Final = ("/ping", "/users/1", "/users?limit=100", "/users?email=USER-7@example.org")
Costs = dict[tuple[str, str], Cost]


class Plan(NamedTuple):
    """What to measure, and for how many rounds."""

    peers: Sequence[str] = tuple(PEERS)
    operations: Sequence[Operation] = (*CROWDED, *OPERATIONS)
    rounds: int = 3


QUICK: Final = Plan(peers=("tutorial",), rounds=1)
GUARD: Final = Plan(
    peers=("tutorial",), operations=[NAMED[name] for name in GOALS["cpu"]["tutorial"]], rounds=5
)


class FailuresError(Exception):
    """A system returned an unexpected response, so its measurements are invalid."""


def compare(plan: Plan) -> Costs:
    """Return the median cost of each operation on each system.

    Raises:
        FailuresError: a response was unexpected.
    """
    found: dict[tuple[str, str], list[Cost]] = {}
    with ExitStack() as stack:
        shared = stack.enter_context(database())
        systems = [
            stack.enter_context(users_api(shared)),
            *(stack.enter_context(peer(name, shared)) for name in plan.peers),
        ]
        shared.reset(USERS)
        _check_answers(systems)
        for system in systems:
            measure(NAMED["get one"], system, shared)
        for _ in range(plan.rounds):
            shared.reset(USERS)
            for operation, system in product(plan.operations, systems):
                found.setdefault((system.name, operation.name), []).append(measure(operation, system, shared))
    return {key: median(runs) for key, runs in found.items()}


def ratio(costs: Costs, operation: str, peer: str) -> float:
    """Return this service's CPU time per request relative to the peer's."""
    return costs[SERVICE, operation].cpu / costs[peer, operation].cpu


def misses(costs: Costs) -> list[str]:
    """Return a line for each missed goal: CPU time against the peers, rate and p99 against the tutorial."""
    rate, p99 = GOALS["rate"], GOALS["p99"]
    slower = {
        name: costs[SERVICE, name].rate / costs[rate["peer"], name].rate
        for name in rate["operations"]
        if _known(costs, name)
    }
    later = {
        name: costs[SERVICE, name].p99 / costs[p99["peer"], name].p99
        for name in p99["operations"]
        if _known(costs, name)
    }
    return [
        *losses(costs),
        *(
            f"{name} serves {found:.2f} times the peer's rate"
            for name, found in slower.items()
            if found < rate["times"]
        ),
        *(f"{name} has {found:.2f} times the peer's p99" for name, found in later.items() if found > 1),
    ]


def losses(costs: Costs, *, tolerance: float = 1.0) -> list[str]:
    """Return a line for each operation whose relative CPU time exceeds its goal times the tolerance."""
    return [
        f"{operation} costs {found:.2f} of {peer}'s CPU time; the goal is {goal:.2f}"
        for peer, goals in GOALS["cpu"].items()
        for operation, goal in goals.items()
        if (peer, operation) in costs and (found := ratio(costs, operation, peer)) > goal * tolerance
    ]


def _known(costs: Costs, operation: str) -> bool:
    return (SERVICE, operation) in costs


def measure(operation: Operation, system: System, shared: Database) -> Cost:
    """Return the cost of the operation on the system; operations that write start with a fresh table."""
    target = Target(system.url, (system.pid, shared.server.process.pid), USERS, system.token)
    if operation.method != "GET":
        shared.reset(USERS)
    cost = run(_with_etag(operation, system), target, seconds=1)
    print(
        f"{operation.name:16} {system.name:16} {cost.cpu:7.3f} ms CPU "
        f"{cost.rate:7.0f}/s {cost.failures:5.0f} failures",
        flush=True,
    )
    settle(target.processes)
    if cost.failures:
        raise FailuresError(system.name, operation.name, cost)
    return cost


def _with_etag(operation: Operation, system: System) -> Operation:
    """Return the operation; if it expects 304, with the entity tag that the system returned."""
    if operation.expected != 304:
        return operation
    request = urllib.request.Request(system.url + operation.path, headers=system.headers)  # noqa: S310 -- our own server.
    with urllib.request.urlopen(request) as answer:  # noqa: S310 -- likewise.
        return operation._replace(entity_tag=answer.headers["ETag"])


def _check_answers(systems: Sequence[System]) -> None:
    """Check that all systems return the same responses."""
    for path in SAME:
        answers = {system.name: _read(system.url + path) for system in systems}
        if different := [name for name, answer in answers.items() if answer != answers[SERVICE]]:
            message = f"{path} has different responses from {', '.join(different)}"
            raise FailuresError(message)


def _read(url: str) -> Any:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 -- our own server.
        return json.load(answer)
