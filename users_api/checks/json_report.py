"""The results of checks as JSON for programs."""

import json
from collections.abc import Sequence
from typing import Any, Final

from users_api.checks.findings import Result, State

FORMAT: Final = 1
"""Changes when a member is renamed or removed; new members, groups and checks do not change it."""


def render_json(version: str, results: Sequence[Result], *, is_in_order: bool) -> str:
    """Return the document that docs/operations.md describes."""
    report = {
        "format": FORMAT,
        "version": version,
        "ok": is_in_order,
        "counts": {state: sum(each.finding.state is state for each in results) for state in State},
        "results": [_result(each) for each in results],
    }
    return json.dumps(report, indent=2, ensure_ascii=False)


def _result(result: Result) -> dict[str, Any]:
    finding = result.finding
    return {
        "group": result.group.replace(" ", "_"),
        "check": result.check.replace(" ", "_"),
        "state": finding.state,
        "text": finding.text,
        "advice": finding.advice or None,
    }
