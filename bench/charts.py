"""The charts, drawn with matplotlib."""

import re
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, Final, NamedTuple

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from bench.compare import Costs
from bench.load import OPERATIONS, Cost
from bench.systems import PEERS, SERVICE

RESULTS: Final = Path(__file__).with_name("results")
COLORS: Final = dict(
    zip((SERVICE, *PEERS), ("#d62728", "#7f7f7f", "#1f77b4", "#9467bd", "#bcbd22"), strict=True)
)
NOISE: Final = (
    (r"^.*?(?=<svg)|<!--.*?-->|<metadata>.*?</metadata>", ""),
    (r"(\.\d)\d+(?=[^<>]*>)", r"\1"),
    (r"\s+", " "),
    (r"> <", "><"),
    (r'(?=<g id="axes_)', "\n"),
)
UNITS: Final = {
    "reqps": "requests/s",
    "ops": "per second",
    "percentunit": "share",
    "s": "seconds",
    "short": "",
}
"""What Grafana's names of units mean."""
Row = tuple[str, float, Cost]

mpl.use("svg")
mpl.rcParams |= {
    "svg.hashsalt": "users-api",
    "svg.fonttype": "none",
    "font.sans-serif": ["DejaVu Sans", "sans-serif"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


class Panel(NamedTuple):
    """A panel of a dashboard: Grafana's unit, and the points of each line by its legend."""

    title: str
    unit: str
    lines: dict[str, list[tuple[float, float]]]


def _save(figure: Any, name: str, folder: Path = RESULTS) -> None:
    """Write the chart to the folder: reproducible, without metadata, and rounded to visible digits."""
    drawn = StringIO()
    figure.savefig(drawn, bbox_inches="tight", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    picture = drawn.getvalue()
    for pattern, replacement in NOISE:
        picture = re.sub(pattern, replacement, picture, flags=re.DOTALL)
    (folder / f"{name}.svg").write_text(f"{picture.strip()}\n")


def draw_costs(costs: Costs) -> None:
    """Draw a bar chart of CPU times for each operation, with one bar per system."""
    figure, axes = plt.subplots(2, (len(OPERATIONS) + 1) // 2, figsize=(10, 4.5))
    for axis, operation in zip(axes.flat, (operation.name for operation in OPERATIONS), strict=False):
        _bars(
            axis,
            operation,
            {system: costs[system, operation].cpu for system in COLORS if (system, operation) in costs},
        )
    figure.suptitle("CPU time of the server per request in ms (less is better)")
    figure.tight_layout()
    _save(figure, "compare")


def _bars(axis: Axes, operation: str, heights: dict[str, float]) -> None:
    bars = axis.bar(list(heights), list(heights.values()), color=[COLORS[system] for system in heights])
    axis.bar_label(bars, fmt="%.2f", fontsize=7)
    axis.set_title(operation, fontsize=9)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.tick_params("x", rotation=60, labelsize=7, length=0)


def draw_growth(name: str, label: str, rows: list[Row]) -> None:
    """Draw CPU times, rate and p99 as lines over a logarithmic x axis."""
    figures: dict[str, Callable[[Cost], float]] = {
        "server's CPU ms per request": lambda cost: cost.cpu,
        "database's CPU ms per request": lambda cost: cost.database,
        "requests per second": lambda cost: cost.rate,
        "p99 ms": lambda cost: cost.p99,
    }
    sizes = [size for operation, size, _ in rows if operation == rows[0][0]]
    figure, axes = plt.subplots(1, len(figures), figsize=(13, 3))
    for axis, (title, value) in zip(axes, figures.items(), strict=True):
        for operation in dict.fromkeys(row[0] for row in rows):
            points = [(size, value(cost)) for one, size, cost in rows if one == operation]
            axis.plot(*zip(*points, strict=True), marker="o", markersize=3, label=operation)
        axis.set(title=title, xlabel=label, xscale="log", ylim=(0, None))
        axis.set_xticks(sizes, [f"{size:,.0f}" for size in sizes], fontsize=7)
        axis.minorticks_off()
    axes[0].legend(fontsize=7)
    figure.tight_layout()
    _save(figure, f"growth-{name}")


def draw_memory(memory: list[tuple[float, list[float]]]) -> None:
    """Draw the resident memory of each worker."""
    figure, axis = plt.subplots(figsize=(6, 3))
    requests = [point[0] for point in memory]
    for number, worker in enumerate(zip(*(point[1] for point in memory), strict=True), 1):
        axis.plot(requests, worker, marker="o", markersize=3, label=f"worker {number}")
    axis.set(title="resident MB of each worker", xlabel="requests served by all workers", ylim=(0, None))
    axis.legend(fontsize=7)
    _save(figure, "growth-memory")


def draw_panels(panels: Sequence[Panel], folder: Path) -> None:
    """Draw the panels of a dashboard in three columns, over the same seconds."""
    figure, axes = plt.subplots(len(panels) // 3, 3, figsize=(13, 13), sharex=True)
    for axis, panel in zip(axes.flat, panels, strict=True):
        for legend, points in panel.lines.items():
            axis.plot(*zip(*points, strict=True), linewidth=1, label=legend)
        axis.set_title(panel.title, fontsize=9, loc="left")
        axis.set(ylabel=UNITS[panel.unit], ylim=(0, None))
        axis.tick_params(labelsize=7)
        if panel.lines:
            axis.legend(fontsize=6, frameon=False)
        else:
            axis.text(0.5, 0.5, "none", transform=axis.transAxes, color="#7f7f7f")
            axis.set_yticks([])
    figure.tight_layout()
    _save(figure, "dashboard", folder)
