"""The files in `deploy/` with the real Prometheus and the metrics of the real service."""

import subprocess
from pathlib import Path

import pytest

from tests.monitoring.expressions import (
    alert_expressions,
    dashboard_expressions,
    grouping_labels,
    selectors,
)
from tests.support.waiting import until
from tools.dashboard.prometheus import Prometheus

ROOT = Path(__file__).parents[2]
EXPRESSIONS = {"dashboard": dashboard_expressions(ROOT), "alerts": alert_expressions(ROOT)}


@pytest.mark.parametrize(
    "arguments", [("check", "rules", "alerts.yaml"), ("test", "rules", "alerts_test.yaml")]
)
def test_promtool_accepts_the_alerts(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        ["promtool", *arguments], cwd=ROOT / "deploy", capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_is_found_in_the_expressions() -> None:
    for expressions in EXPRESSIONS.values():
        for expression in expressions:
            assert len(list(selectors(expression))) == expression.count("{"), expression


@pytest.mark.parametrize("file", EXPRESSIONS)
def test_the_service_exposes_every_metric_and_label(scraped: Prometheus, file: str) -> None:
    asked = {
        f"{selector.name}{{{label}{operator}{value!r}}}"
        for expression in EXPRESSIONS[file]
        for selector in selectors(expression)
        for label, operator, value in selector.matchers
    }

    assert len(asked) > 10
    assert [each for each in sorted(asked) if not scraped.query(each)] == []


@pytest.mark.parametrize("file", EXPRESSIONS)
def test_the_service_exposes_every_label_by_which_results_are_grouped(scraped: Prometheus, file: str) -> None:
    asked = {
        f'{selector.name}{{{label}!=""}}'
        for expression in EXPRESSIONS[file]
        for selector in selectors(expression)
        for label in grouping_labels(expression)
    }

    assert [each for each in sorted(asked) if not scraped.query(each)] == []


def test_every_panel_shows_something(scraped: Prometheus) -> None:
    def empty() -> list[str]:
        return [each for each in EXPRESSIONS["dashboard"] if not scraped.query(each)]

    until(lambda: not empty(), seconds=20)


def test_prometheus_evaluates_every_alert(scraped: Prometheus) -> None:
    for expression in EXPRESSIONS["alerts"]:
        scraped.query(expression)


def test_the_documented_job_receives_the_metrics_with_an_access_token(scraped: Prometheus) -> None:
    assert [each.points[0][1] for each in scraped.query("up")] == [1, 1]
