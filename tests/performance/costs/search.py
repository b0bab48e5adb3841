"""Searches for the most expensive requests: `make costs`, or for seconds: `make costs ARGS=600`."""

import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Phase, given, settings, target

from tests.performance.costs.cases import CORPUS, Case, add_to_corpus, read_corpus
from tests.performance.costs.documents import Subject, subjects
from tests.performance.costs.generators import cases
from tests.performance.costs.meter import Measured, Meter

SHOWN = 20
EXAMPLES = 300  # Of one run of Hypothesis, which cannot be stopped.
Found = dict[Case, Measured]


def search(
    meter: Meter, chosen: Sequence[Subject], *, examples: int, derandomize: bool, deadline: float
) -> Found:
    """Return what the cases cost that Hypothesis tried, guided to the greatest costs."""
    found: Found = {}

    @settings(
        max_examples=examples,
        derandomize=derandomize,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.target),
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(chosen))
    def measure(case: Case) -> None:
        if time.monotonic() < deadline:
            found[case] = measured = meter.measure(case)
            target(measured.ratio)

    measure()
    return found


def worst(found: Found) -> Iterator[tuple[Case, Measured]]:
    """Yield the most expensive case of each place of each operation, the most expensive first."""
    seen = set()
    for case, measured in sorted(found.items(), key=lambda each: -each[1].share):
        if case[:3] not in seen:
            seen.add(case[:3])
            yield case, measured


def report(found: Found) -> Iterator[str]:
    """Yield a line for each of the most expensive cases."""
    for case, measured in list(worst(found))[:SHOWN]:
        cost = f"{measured.ratio:6.0f} requests, {measured.milliseconds:6.1f} ms"
        yield (
            f"{measured.share:6.2f} of the budget: {cost},"
            f"  status {measured.status} {len(case.shape.text()):7} characters {case.line()}"
        )


def main(seconds: str = "60", file: Path | str = CORPUS) -> int:
    """Search for a time, add the cases beyond their budgets to the corpus, and return whether any are."""
    found: Found = {}
    corpus = Path(file)
    logging.disable(logging.WARNING)
    with TemporaryDirectory() as folder, metering(Path(folder)) as meter:
        deadline = time.monotonic() + float(seconds)
        chosen = list(meter.subjects.values())
        while time.monotonic() < deadline:
            found |= search(meter, chosen, examples=EXAMPLES, derandomize=False, deadline=deadline)
    print(*report(found), sep="\n")
    known = set(read_corpus(corpus))
    exceeding = [(case, each) for case, each in worst(found) if each.share > 1 and case not in known]
    add_to_corpus((case.line(ratio=round(each.ratio)) for case, each in exceeding), corpus)
    return bool(exceeding)


@contextmanager
def metering(folder: Path) -> Iterator[Meter]:
    """Yield a meter of all operations."""
    with subjects(folder) as found:
        meter = Meter(found)
        yield meter
        meter.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
