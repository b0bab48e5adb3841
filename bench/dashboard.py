"""Draws the dashboard without Grafana, from the metrics of this service under a load that changes."""

import json
import re
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from bench.charts import Panel, draw_panels
from bench.load import NAMED, Operation, Target, run
from bench.report import ROOT
from bench.systems import Database, System, database, users_api
from tools.dashboard.prometheus import Prometheus, Series, prometheus, target

USERS: Final = 10_000
SHOWN: Final = "create_user: "
"""The beginning of the title of the only operation that is drawn."""
WINDOW: Final = "4s"
"""Rates are computed over 16 scrapes."""
STEP_SECONDS: Final = 1.0
LEGEND: Final = re.compile(r"\{\{(\w+)\}\}")
MISSING: Final = "ALTER TABLE users RENAME TO missing"
PRESENT: Final = "ALTER TABLE missing RENAME TO users"
PHASES: Final = (
    NAMED["get one"]._replace(connections=2),
    NAMED["list 100"]._replace(connections=2),
    NAMED["POST"]._replace(connections=4),
    NAMED["POST"]._replace(connections=64),
    NAMED["refused POST"]._replace(connections=2),
    NAMED["PATCH"]._replace(connections=8),
)
OUTAGE: Final = (
    NAMED["get one"]._replace(connections=2, expected=503),
    NAMED["POST"]._replace(connections=2, expected=503),
)
PHASE_SECONDS: Final = 8
OUTAGE_SECONDS: Final = 3


def draw() -> None:
    """Put the service under load, also while its table is missing, and write docs/dashboard.svg."""
    with database() as stored, users_api(stored) as system:
        port = int(system.url.rpartition(":")[2])
        with prometheus(target(port)) as server:
            start = time.time()
            _load(stored, system)
            figures = [_evaluated(panel, server, start, time.time()) for panel in _panels()]
    draw_panels(figures, ROOT / "docs")


def _load(stored: Database, system: System) -> None:
    stored.reset(USERS)
    load = partial(_run, Target(system.url, (system.pid, stored.server.process.pid), USERS))
    for operation in PHASES:
        load(operation, PHASE_SECONDS)
    stored.run(MISSING)
    for operation in OUTAGE:
        load(operation, OUTAGE_SECONDS)
    stored.run(PRESENT)
    load(PHASES[0], PHASE_SECONDS)


def _run(service: Target, operation: Operation, seconds: int) -> None:
    run(operation, service, seconds=seconds)


def _panels() -> Iterator[dict[str, Any]]:
    """Yield the panels of the open rows, and of the row of one operation."""
    for panel in json.loads((ROOT / "deploy" / "grafana.json").read_text())["panels"]:
        if panel["type"] != "row":
            yield panel
        elif panel["title"].startswith(SHOWN):
            yield from panel["panels"]


def _evaluated(panel: dict[str, Any], server: Prometheus, start: float, end: float) -> Panel:
    """Return the lines of a panel, in seconds since the start."""
    lines = {}
    for query in panel["targets"]:
        expression = query["expr"].replace("$job", "users").replace("$__rate_interval", WINDOW)
        for series in server.query_range(expression, start=start, end=end, step=STEP_SECONDS):
            lines[_legend(query["legendFormat"], series)] = [
                (at - start, value) for at, value in series.points
            ]
    return Panel(panel["title"], panel["fieldConfig"]["defaults"]["unit"], lines)


def _legend(form: str, series: Series) -> str:
    """Return the legend of a line, as Grafana fills it in."""
    return LEGEND.sub(lambda found: series.labels.get(found[1], ""), form)
