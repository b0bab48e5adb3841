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

STARTS: Final = 3  # Two processes with the same code may differ by 5 %: where it lies in memory is chance.
ROUNDS: Final = 6
NONE: Final = "AUTH=none"
CONTROL: Final = "AUTH=none again"
REQUIRED: Final = "AUTH=required"
SECTION: Final = re.compile(r"(?<=<!-- access -->\n).*(?=<!-- /access -->)", re.DOTALL)


class Comparison(NamedTuple):
    """The median CPU time of an operation in milliseconds per request."""

    without: float
    again: float
    """Of a second service that is the same as the first: how far it differs is the error of measurement."""
    required: float

    @property
    def control(self) -> float:
        """How many times as much the second service without authentication costs as the first."""
        return self.again / self.without

    @property
    def ratio(self) -> float:
        """How many times as much a request costs with authentication as it does without, on average."""
        return 2 * self.required / (self.without + self.again)


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
                users_api(shared) as without,
                users_api(shared) as again,
                users_api_with_tokens(REQUIRED, shared) as required,
            ):
                systems = [
                    without._replace(name=NONE, token=required.token),
                    again._replace(name=CONTROL, token=required.token),
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
        if each.ratio > goal:
            yield f"{name} costs {each.ratio:.3f} times as much; the goal is {goal:.2f}"


def publish(found: Comparisons) -> None:
    """Write the section of docs/performance.md."""
    page = ROOT / "docs" / "performance.md"
    page.write_text(SECTION.sub(lambda _: markdown(list(rows(found))), page.read_text()))


def rows(found: Comparisons) -> Iterator[Sequence[str]]:
    """Yield the rows of the table."""
    ratio = f"{REQUIRED} ÷ {NONE} (goal {GOALS['access']['times']:.2f})"
    yield "CPU ms per request", NONE, REQUIRED, ratio, f"{NONE} ÷ {NONE}"
    for name, each in found.items():
        without = (each.without + each.again) / 2
        yield name, f"{without:.3f}", f"{each.required:.3f}", f"{each.ratio:.3f}", f"{each.control:.3f}"
