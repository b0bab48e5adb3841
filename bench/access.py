"""What authentication costs: this service with access tokens and twice without, on one database."""

import random
import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final, NamedTuple

from bench.compare import GOALS, USERS, measure
from bench.load import NAMED, OPERATIONS, Cost, median
from bench.report import ROOT, markdown
from bench.systems import database, users_api, users_api_with_tokens

STARTS: Final = (
    3  # Two processes with the same code may differ by 5 %, because their memory layout is random.
)
ROUNDS: Final = 6
NONE: Final = "AUTH=none"
CONTROL: Final = "control"
REQUIRED: Final = "AUTH=required"
SECTION: Final = re.compile(r"(?<=<!-- access -->\n).*(?=<!-- /access -->)", re.DOTALL)


class Comparison(NamedTuple):
    """The median CPU time of an operation in milliseconds per request."""

    baseline: float
    """Without authentication."""
    control: float
    """An identical second service; its difference from the baseline is the measurement error."""
    required: float

    @property
    def without(self) -> float:
        """The mean of both services without authentication."""
        return (self.baseline + self.control) / 2


Comparisons = dict[str, Comparison]


def compare() -> Comparisons:
    """Return the costs of each operation; all services get the same requests, with a verified token.

    Raises:
        FailuresError: a response was unexpected.
    """
    found: dict[tuple[str, str], list[Cost]] = {}
    with database() as shared:
        for _ in range(STARTS):
            with (
                users_api(shared) as baseline,
                users_api(shared) as control,
                users_api_with_tokens(REQUIRED, shared) as required,
            ):
                systems = [
                    baseline._replace(name=NONE, token=required.token),
                    control._replace(name=CONTROL, token=required.token),
                    required,
                ]
                shared.reset(USERS)
                for system in systems:
                    measure(NAMED["get one"], system, shared)
                for operation, _ in product(OPERATIONS, range(ROUNDS)):
                    for system in random.sample(systems, len(systems)):
                        cost = measure(operation, system, shared)
                        found.setdefault((operation.name, system.name), []).append(cost)
    return {
        operation.name: Comparison(
            *(median(found[operation.name, name]).cpu for name in (NONE, CONTROL, REQUIRED))
        )
        for operation in OPERATIONS
    }


def misses(found: Comparisons) -> Iterator[str]:
    """Yield a line for each operation for which authentication costs more than its goal."""
    goal = GOALS["access"]["times"]
    for name, each in found.items():
        if each.required > goal * each.without:
            yield f"{name} costs {each.required / each.without:.3f} times as much; the goal is {goal:.2f}"


def publish(found: Comparisons) -> None:
    """Write the section of docs/performance.md."""
    page = ROOT / "docs" / "performance.md"
    page.write_text(SECTION.sub(lambda _: markdown(list(rows(found))), page.read_text()))


def rows(found: Comparisons) -> Iterator[Sequence[str]]:
    """Yield the rows of the table."""
    ratio = f"{REQUIRED} ÷ {NONE} (goal {GOALS['access']['times']:.2f})"
    yield "CPU ms per request", NONE, REQUIRED, ratio, "control ÷ baseline"
    for name, each in found.items():
        figures = each.without, each.required, each.required / each.without, each.control / each.baseline
        yield name, *(f"{figure:.3f}" for figure in figures)
