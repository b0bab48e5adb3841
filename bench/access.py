"""What authentication costs: this service with access tokens and without, in turn, on one database."""

import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final

from bench.compare import GOALS, USERS, measure
from bench.load import NAMED, OPERATIONS, Cost
from bench.report import ROOT, markdown
from bench.systems import SERVICE, database, users_api, users_api_with_tokens

STARTS: Final = 5  # Two processes with the same code may differ by 5 %: where it lies in memory is chance.
ROUNDS: Final = 2
REQUIRED: Final = "AUTH=required"
SECTION: Final = re.compile(r"(?<=<!-- access -->\n).*(?=<!-- /access -->)", re.DOTALL)
Costs = dict[str, tuple[Cost, Cost]]


def compare() -> Costs:
    """Return the lowest cost of each operation without and with a token that is already verified.

    What else happens on the machine only adds to a cost, and by more than authentication does.

    Raises:
        FailuresError: a response was unexpected.
    """
    found: dict[tuple[str, str], list[Cost]] = {}
    with database() as shared:
        for _ in range(STARTS):
            with users_api(shared) as without, users_api_with_tokens(REQUIRED, shared) as required:
                shared.reset(USERS)
                systems = [without, required]
                for system in systems:
                    measure(NAMED["get one"], system, shared)
                for operation, number in product(OPERATIONS, range(ROUNDS)):
                    for system in systems[:: -1 if number % 2 else 1]:
                        cost = measure(operation, system, shared)
                        found.setdefault((operation.name, system.name), []).append(cost)
    return {
        operation.name: (min(found[operation.name, SERVICE]), min(found[operation.name, REQUIRED]))
        for operation in OPERATIONS
    }


def misses(costs: Costs) -> Iterator[str]:
    """Yield a line for each operation for which authentication costs more than its goal."""
    goal = GOALS["access"]["times"]
    for name, (without, required) in costs.items():
        if required.cpu > goal * without.cpu:
            yield f"{name} costs {required.cpu / without.cpu:.3f} times as much; the goal is {goal:.2f}"


def publish(costs: Costs) -> None:
    """Write the section of docs/performance.md."""
    page = ROOT / "docs" / "performance.md"
    page.write_text(SECTION.sub(lambda _: markdown(list(rows(costs))), page.read_text()))


def rows(costs: Costs) -> Iterator[Sequence[str]]:
    """Yield the rows of the table."""
    yield "CPU ms per request", "AUTH=none", REQUIRED, f"ratio (goal {GOALS['access']['times']:.2f})"
    for name, (without, required) in costs.items():
        yield name, f"{without.cpu:.3f}", f"{required.cpu:.3f}", f"{required.cpu / without.cpu:.3f}"
