"""The form in which Grafana imports a dashboard: rows of panels, and the variables of their queries."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, Final

from tools.dashboard.panels import SATURATION, SERVICE, Panel, panels_of
from users_api.document import METHODS, load_document

COLUMNS: Final = 3
WIDTH: Final = 24 // COLUMNS
"""Grafana divides the page into 24 units."""
HEIGHT: Final = 8
OPEN: Final = {"Service": SERVICE, "Saturation": SATURATION}
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
VARIABLES: Final = (
    {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
    {
        "name": "job",
        "type": "query",
        "datasource": SOURCE,
        "query": "label_values(users_api_build_info, job)",
        "refresh": 2,
    },
)


def dashboard() -> dict[str, Any]:
    """Return the dashboard: two rows about the service, and a closed one for each operation."""
    return {
        "uid": "users-api",
        "title": "users-api",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": list(VARIABLES)},
        "panels": list(_rows()),
    }


def operations() -> dict[str, str]:
    """Return the title of each operation by its operationId, in the order of the document."""
    return {
        operation["operationId"]: f"{operation['operationId']}: {method.upper()} {path}"
        for path, item in load_document()["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def _rows() -> Iterator[dict[str, Any]]:
    """Yield each row; the panels of an open one follow it, those of a closed one are its own."""
    numbers, top = count(1), 0
    for title, panels in OPEN.items():
        yield _row(next(numbers), title, top)
        yield from _grid(panels, numbers, top + 1)
        top += 1 + -(-len(panels) // COLUMNS) * HEIGHT
    for place, (operation_id, title) in enumerate(operations().items(), start=top):
        heading = _row(next(numbers), title, place)
        yield heading | {
            "collapsed": True,
            "panels": list(_grid(panels_of(operation_id), numbers, place + 1)),
        }


def _row(number: int, title: str, top: int) -> dict[str, Any]:
    place = {"x": 0, "y": top, "w": COLUMNS * WIDTH, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _grid(panels: Sequence[Panel], numbers: Iterator[int], top: int) -> Iterator[dict[str, Any]]:
    """Yield the panels side by side, in as many lines as they need."""
    for index, panel in enumerate(panels):
        line, column = divmod(index, COLUMNS)
        yield {
            "id": next(numbers),
            "type": panel.kind,
            "title": panel.title,
            "datasource": SOURCE,
            "gridPos": {"x": column * WIDTH, "y": top + line * HEIGHT, "w": WIDTH, "h": HEIGHT},
            "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
            "targets": list(_targets(panel)),
        }


def _targets(panel: Panel) -> Iterator[dict[str, Any]]:
    """Yield the queries of a panel; only a chart over time needs more than the newest value."""
    for letter, (legend, query) in zip("ABC", panel.queries.items(), strict=False):
        yield {"refId": letter, "expr": query, "legendFormat": legend, "instant": panel.kind == "stat"}
