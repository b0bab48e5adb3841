"""What a part of the service costs: the service with it and twice without, on one database."""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from statistics import mean
from typing import Final

from bench.compare import USERS, measure
from bench.load import NAMED, OPERATIONS
from bench.report import ROOT, markdown
from bench.systems import Database, System, database

STARTS: Final = (
    18  # Two processes with the same code may differ by 5 %, because their memory layout is random.
)
CONTROL: Final = "control"
Start = Callable[[Database], AbstractContextManager[System]]
Costs = dict[str, dict[str, float]]
"""The mean CPU time in milliseconds per request, by operation and by the name of the service."""


def compare(starts: Sequence[Start], adapt: Callable[[list[System]], list[System]] = list) -> Costs:
    """Return the costs of each operation; `adapt` changes the names of the services, and how they are asked.

    Raises:
        FailuresError: a response was unexpected.
    """
    found: dict[tuple[str, str], list[float]] = {}
    names: list[str] = []
    with database() as shared:
        for _ in range(STARTS):
            with ExitStack() as stack:
                systems = adapt([stack.enter_context(start(shared)) for start in starts])
                names = [system.name for system in systems]
                shared.reset(USERS)
                for system in systems:
                    measure(NAMED["get one"], system, shared)
                for operation in OPERATIONS:
                    for system in random.sample(systems, len(systems)):
                        cpu = measure(operation, system, shared).cpu
                        found.setdefault((operation.name, system.name), []).append(cpu)
    return {
        operation.name: {name: mean(found[operation.name, name]) for name in names}
        for operation in OPERATIONS
    }


def ratios(costs: Costs, baseline: str, name: str) -> Iterator[tuple[str, float]]:
    """Yield what a service costs compared with the mean of the baseline and the control, by operation."""
    for operation, each in costs.items():
        yield operation, each[name] / _without(each, baseline)


def misses(costs: Costs, baseline: str, goals: dict[str, float]) -> Iterator[str]:
    """Yield a line for each operation that costs more than the goal of a service, given by its name."""
    for name, goal in goals.items():
        for operation, ratio in ratios(costs, baseline, name):
            if ratio > goal:
                yield f"{operation} costs {ratio:.3f} times as much with {name}; the goal is {goal:.2f}"


def publish(section: str, costs: Costs, baseline: str, goals: dict[str, float]) -> None:
    """Write a section of docs/performance.md."""
    page = ROOT / "docs" / "performance.md"
    place = re.compile(rf"(?<=<!-- {section} -->\n).*(?=<!-- /{section} -->)", re.DOTALL)
    table = markdown(list(rows(costs, baseline, goals)))
    page.write_text(place.sub(lambda _: table, page.read_text()))


def rows(costs: Costs, baseline: str, goals: dict[str, float]) -> Iterator[Sequence[str]]:
    """Yield the rows of the table: the costs, what each service costs compared, and the error."""
    headings = (f"{name} ÷ {baseline} (goal {goal:.2f})" for name, goal in goals.items())
    yield "CPU ms per request", baseline, *goals, *headings, "control ÷ baseline"
    for operation, each in costs.items():
        without = _without(each, baseline)
        figures = [without, *(each[name] for name in goals), *(each[name] / without for name in goals)]
        yield operation, *(f"{figure:.3f}" for figure in [*figures, each[CONTROL] / each[baseline]])


def _without(costs: dict[str, float], baseline: str) -> float:
    """Return the mean of both services without the part; their difference is the error."""
    return (costs[baseline] + costs[CONTROL]) / 2
