"""The PromQL expressions of the dashboard and of the alerts, and what they select."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

SELECTOR = re.compile(r"\b([a-z]\w+_\w+|up)\s*(?:\{([^}]*)\})")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\bby \(([^)]*)\)")
TARGET_LABELS = {"job", "instance"}
"""Prometheus adds these to every series."""


class Selector(NamedTuple):
    """A metric and the conditions on its labels: name, operator and value."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]


def dashboard_expressions(root: Path) -> list[str]:
    """Return the query of every panel, as Grafana sends it for the job `users`."""
    panels = json.loads((root / "deploy" / "grafana.json").read_text())["panels"]
    every = [*panels, *(panel for row in panels for panel in row.get("panels", ()))]
    queries = [target["expr"] for panel in every for target in panel.get("targets", ())]
    return [query.replace("$job", "users").replace("$__rate_interval", "10m") for query in queries]


def alert_expressions(root: Path) -> list[str]:
    """Return the condition of every alert."""
    (group,) = yaml.safe_load((root / "deploy" / "alerts.yaml").read_text())["groups"]
    return [rule["expr"] for rule in group["rules"]]


def selectors(expression: str) -> Iterator[Selector]:
    """Yield every selector in an expression."""
    for name, matchers in SELECTOR.findall(expression):
        yield Selector(name, tuple(MATCHER.findall(matchers)))


def grouping_labels(expression: str) -> set[str]:
    """Return the labels by which an expression groups, without those that Prometheus adds."""
    names = {name.strip() for group in GROUPING.findall(expression) for name in group.split(",")}
    return names - TARGET_LABELS - {""}
