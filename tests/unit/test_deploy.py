"""The files in `deploy/` agree with the document, with the default settings and with the documentation."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.dashboard.layout import dashboard, operations
from users_api.config import Config
from users_api.document import load_document

PAGE = "docs/operations.md"
Rule = dict[str, Any]


@pytest.fixture(scope="module")
def alerts(root: Path) -> dict[str, Rule]:
    """The rules by the name of their alert."""
    (group,) = yaml.safe_load((root / "deploy" / "alerts.yaml").read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def threshold(rule: Rule) -> float:
    return float(rule["expr"].rpartition("> ")[2])


def test_the_dashboard_is_up_to_date(root: Path) -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "tools.dashboard"], cwd=root, check=True, capture_output=True, text=True
    )

    assert (root / "deploy" / "grafana.json").read_text() == printed.stdout, "Run `make dashboard`."


def test_each_operation_has_a_row_with_three_panels() -> None:
    rows = [panel for panel in dashboard()["panels"] if panel["type"] == "row" and panel["collapsed"]]

    assert {row["title"]: [panel["title"] for panel in row["panels"]] for row in rows} == {
        title: [f"{name}: rate", f"{name}: errors", f"{name}: duration"]
        for name, title in operations().items()
    }


def test_each_panel_has_an_id_and_a_place_of_its_own() -> None:
    top = dashboard()["panels"]
    panels = [*top, *(panel for row in top for panel in row.get("panels", ()))]
    places = [(panel["gridPos"]["y"], panel["gridPos"]["x"]) for panel in top]

    assert sorted(panel["id"] for panel in panels) == list(range(1, len(panels) + 1))
    assert places == sorted(set(places))


def test_each_alert_has_a_section_that_says_how_to_confirm_it_and_what_to_do(
    alerts: dict[str, Rule], root: Path
) -> None:
    sections = (root / PAGE).read_text().partition("\n## Alerts\n")[2].partition("\n## ")[0]
    entries = dict(re.findall(r"\n### (\w+)\n(.*?)(?=\n### |\Z)", sections, re.DOTALL))

    assert list(entries) == list(alerts)
    for name, entry in entries.items():
        assert re.fullmatch(r"\n\S.*\n\n- Confirm: .*\n- Do: .*\n?", entry, re.DOTALL), name
        assert alerts[name]["annotations"]["runbook_url"] == f"{PAGE}#{name.lower()}"


def test_each_alert_has_a_severity_and_one_summary(alerts: dict[str, Rule]) -> None:
    for name, rule in alerts.items():
        assert rule["labels"] in ({"severity": "critical"}, {"severity": "warning"}), name
        assert rule["annotations"].keys() == {"summary", "runbook_url"}, name


def test_the_tests_of_each_alert_expect_it_and_expect_silence(alerts: dict[str, Rule], root: Path) -> None:
    tests = yaml.safe_load((root / "deploy" / "alerts_test.yaml").read_text())["tests"]
    expected = {
        (each["alertname"], bool(each["exp_alerts"])) for test in tests for each in test["alert_rule_test"]
    }

    assert expected == {(name, fires) for name in alerts for fires in (True, False)}


def test_the_thresholds_belong_to_the_default_settings(alerts: dict[str, Rule]) -> None:
    assert threshold(alerts["UsersApiSlow"]) == Config.REQUEST_TIMEOUT / 4
    assert threshold(alerts["UsersApiConnections"]) == (
        0.8 * Config.CLIENT_CONNECTIONS * Config.WEB_CONCURRENCY
    )


def test_the_rate_of_errors_leaves_out_checks_and_metrics(alerts: dict[str, Rule]) -> None:
    every = [operation for item in load_document()["paths"].values() for operation in item.values()]
    checks = {
        operation["operationId"]
        for operation in every
        if isinstance(operation, dict) and {"health", "metrics"} & set(operation["tags"])
    }

    found = re.findall(r'operation!~"([^"]+)"', alerts["UsersApiErrors"]["expr"])
    assert [set(names.split("|")) for names in found] == [checks, checks]
