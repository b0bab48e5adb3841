"""This service beside its peers: each operation on all systems in turn, so that noise on the machine meets all of them."""

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
    """What to measure, and how long."""

    peers: Sequence[str] = tuple(PEERS)
    operations: Sequence[Operation] = (*CROWDED, *OPERATIONS)
    rounds: int = 3


QUICK: Final = Plan(peers=("tutorial",), rounds=1)
GUARD: Final = Plan(peers=("tutorial",), operations=[NAMED[name] for name in GOALS["cpu"]["tutorial"]], rounds=5)


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
            _measure(NAMED["get one"], system, shared)
        for _ in range(plan.rounds):
            shared.reset(USERS)
            for operation, system in product(plan.operations, systems):
                found.setdefault((system.name, operation.name), []).append(_measure(operation, system, shared))
    return {key: median(runs) for key, runs in found.items()}


def ratio(costs: Costs, operation: str, peer: str) -> float:
    """Return this service's CPU time per request as a part of the peer's."""
    return costs[SERVICE, operation].cpu / costs[peer, operation].cpu


def misses(costs: Costs) -> list[str]:
    """Return a line for each goal that is not reached: CPU time beside both peers, and rate and p99 beside the tutorial."""
    rate, p99 = GOALS["rate"], GOALS["p99"]
    slower = {
        name: costs[SERVICE, name].rate / costs[rate["peer"], name].rate for name in rate["operations"] if _known(costs, name)
    }
    later = {name: costs[SERVICE, name].p99 / costs[p99["peer"], name].p99 for name in p99["operations"] if _known(costs, name)}
    return [
        *losses(costs),
        *(f"{name} is answered {found:.2f} times as often" for name, found in slower.items() if found < rate["times"]),
        *(f"{name} has {found:.2f} times the p99" for name, found in later.items() if found > 1),
    ]


def losses(costs: Costs, *, tolerance: float = 1.0) -> list[str]:
    """Return a line for each operation that costs more CPU time than its goal allows, times the tolerance."""
    return [
        f"{operation} costs {found:.2f} of what the {peer} peer takes; the goal is {goal:.2f}"
        for peer, goals in GOALS["cpu"].items()
        for operation, goal in goals.items()
        if (peer, operation) in costs and (found := ratio(costs, operation, peer)) > goal * tolerance
    ]


def _known(costs: Costs, operation: str) -> bool:
    return (SERVICE, operation) in costs


def _measure(operation: Operation, system: System, shared: Database) -> Cost:
    """Return what the operation costs the system; whatever writes finds a fresh table."""
    target = Target(system.url, (system.pid, shared.server.process.pid), USERS)
    if operation.method != "GET":
        shared.reset(USERS)
    cost = run(_with_etag(operation, system), target, seconds=1)
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
