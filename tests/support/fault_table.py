"""The table and the chart of the faults that `make resilience` measures, for docs/safety.md."""

import re
from collections.abc import Iterable
from html import escape
from typing import NamedTuple

MARKED = re.compile(r"(<!-- faults -->\n).*?(<!-- /faults -->)", re.DOTALL)
COLUMNS = (
    "fault, under eight writers",
    "requests",
    "acknowledged",
    "lost",
    "doubled",
    "longest outage",
    "behind PgBouncer",
    "neighbours' p99, times",
)
HEAD = f"| {' | '.join(COLUMNS)} |\n|---|{'--:|' * (len(COLUMNS) - 1)}\n"
COLORS = ("#1f77b4", "#ff7f0e")
# In pixels: a row's height, the labels' width, the chart's width, one second.
LINE, LABELS, WIDTH, SECOND = (
    22,
    300,
    880,
    40,
)


class Row(NamedTuple):
    """The result of a fault for a service with or without PgBouncer; `outage` is in seconds.

    `slowdown` is the p99 of other clients' response times, as a multiple of that without the fault.
    """

    fault: str
    pooled: bool
    requests: int
    acknowledged: int
    lost: int
    doubled: int
    outage: float
    slowdown: float | None = None


def table(rows: Iterable[Row]) -> str:
    """Return a Markdown table with a row per fault: the sums over all services, and the longest outages."""
    faults: dict[str, list[Row]] = {}
    for row in rows:
        faults.setdefault(row.fault, []).append(row)
    return HEAD + "".join(_line(fault, both) for fault, both in faults.items())


def _line(fault: str, both: list[Row]) -> str:
    counts = (
        sum(getattr(row, name) for row in both) for name in ("requests", "acknowledged", "lost", "doubled")
    )
    outages = (
        max((row.outage for row in both if row.pooled is pooled), default=None) for pooled in (False, True)
    )
    slowdown = max((row.slowdown for row in both if row.slowdown is not None), default=None)
    cells = [
        fault,
        *(f"{number:,}" for number in counts),
        *("" if number is None else f"{number:.1f}" for number in (*outages, slowdown)),
    ]
    return f"| {' | '.join(cells)} |\n"


def picture(faults: str) -> str:
    """Return an SVG chart of the table, with a bar for each outage; the title has the totals."""
    rows = [
        [cell.strip() for cell in line[1:-1].split("|")] for line in faults.removeprefix(HEAD).splitlines()
    ]
    acknowledged, lost, doubled = (
        sum(int(row[column].replace(",", "")) for row in rows) for column in (2, 3, 4)
    )
    title = f"{len(rows)} faults, {acknowledged:,} acknowledged writes: {lost:,} lost, {doubled:,} doubled"
    height = LINE * (len(rows) + 3)
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
            'font-family="DejaVu Sans, sans-serif" font-size="11">'
        ),
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{WIDTH / 2:.0f}" y="{LINE}" text-anchor="middle" font-size="14">{title}</text>',
        _text(LABELS, 2, "longest outage in seconds, service connected directly", COLORS[0]),
        _text(LABELS + 310, 2, "through PgBouncer", COLORS[1]),
        _right(WIDTH, 2, COLUMNS[-1]),
    ]
    for number, (fault, *_, direct, pooled, slowdown) in enumerate(rows, 3):
        parts.append(_right(LABELS, number, escape(fault)))
        parts += [_bar(number, part, outage) for part, outage in enumerate((direct, pooled)) if outage]
        parts += [_right(WIDTH, number, slowdown)] if slowdown else []
    return "\n".join((*parts, "</svg>", ""))


def _text(x: float, line: int, words: str, color: str = "#000") -> str:
    return f'<text x="{x:.0f}" y="{LINE * line}" fill="{color}">{words}</text>'


def _right(x: float, line: int, words: str) -> str:
    return f'<text x="{x - 8:.0f}" y="{LINE * line}" text-anchor="end">{words}</text>'


def _bar(line: int, part: int, outage: str) -> str:
    """Return the labelled bar of one outage."""
    top, width = LINE * line - 12 + 8 * part, max(1, float(outage) * SECOND)
    bar = f'<rect x="{LABELS}" y="{top}" width="{width:.0f}" height="7" fill="{COLORS[part]}"/>'
    return bar + f'<text x="{LABELS + width + 3:.0f}" y="{top + 7}" font-size="8">{outage}</text>'
