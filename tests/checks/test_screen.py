"""What people and scripts read: the screen, its colours and width, and the exit status."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import Result

from tests.checks.outcome import Deployment
from tests.support.redis import Redis, redis
from users_api.checks.findings import Result as CheckResult
from users_api.checks.findings import not_checked, ok, problem, warning
from users_api.checks.screen import render

Call = Callable[..., Result]
VARYING = re.compile(r"\w+@127\.0\.0\.1:\d+/\w+|(?<=the role )\w+|\d+(\.\d+)*|cores?")
EXAMPLE = re.compile(r"## Check a deployment\n.*?```text\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with redis() as running:
        yield running


@pytest.fixture
def good(deployment: Deployment, server: Redis) -> dict[str, str]:
    """The settings of a deployment in order."""
    return {
        "AUTH": "required",
        "DATABASE_URL": deployment.url,
        "RATE_LIMIT": "100/minute",
        "RATE_LIMIT_STORE": server.url,
        "TOKEN_KEYS": "1" * 64,
        "WEB_CONCURRENCY": "2",
    }


def test_the_screen_is_that_of_the_documentation(call: Call, good: dict[str, str], root: Path) -> None:
    result = call(**good)

    shown = EXAMPLE.search((root / "docs" / "operations.md").read_text())[1]
    normal = [VARYING.sub("…", text) for text in (shown, result.stdout)]
    assert normal[0].splitlines() == normal[1].splitlines()
    assert result.exit_code == 0


def test_the_screen_of_a_deployment_in_order_fits_on_a_terminal(call: Call, good: dict[str, str]) -> None:
    lines = call(**good).stdout.splitlines()

    assert len(lines) <= 30
    assert max(map(len, lines)) <= 100
    assert lines[-1] == "Everything is in order: 19 checks."


def test_problems_say_what_to_do(call: Call) -> None:
    result = call(KEEP_ALIVE="5", DATABASE_URL="sqlite:////nowhere/users.db")

    assert result.exit_code == 1
    assert "  problem      connection  the file /nowhere/users.db does not exist\n" in result.stdout
    assert "                           → Run `users-api db upgrade`.\n" in result.stdout
    assert result.stdout.splitlines()[-1] == "1 problem, 2 warnings, 1 not checked, 8 ok."


@pytest.mark.parametrize(("columns", "width"), [(10, 60), (80, 80), (300, 100)])
def test_long_lines_are_wrapped(columns: int, width: int) -> None:
    words = "word " * 60
    results = [CheckResult("group", "check", problem(words, words))]

    lines = click.unstyle(render("title", results, columns=columns)).splitlines()

    assert max(map(len, lines)) <= width
    assert " ".join(lines).count("word") == 120


@pytest.mark.parametrize(
    ("findings", "last"),
    [
        ([ok("a")], "Everything is in order: 1 check."),
        ([ok("a"), warning("b", "c")], "1 warning, 1 ok."),
        ([problem("a"), problem("b"), not_checked("c")], "2 problems, 1 not checked, 0 ok."),
    ],
)
def test_the_last_line_is_a_summary(findings, last: str) -> None:
    results = [CheckResult("group", "check", each) for each in findings]

    assert render("title", results, columns=80).splitlines()[-1] == last


def test_terminals_show_colours_unless_no_color_is_set(call: Call) -> None:
    missing = {"DATABASE_URL": "sqlite:////nowhere/users.db"}

    assert "\x1b[31mproblem" in call(color=True, **missing).stdout
    assert "\x1b[" not in call(color=True, NO_COLOR="1", **missing).stdout
    assert "\x1b[" not in call(**missing).stdout


def test_strict_fails_for_warnings(call: Call, good: dict[str, str]) -> None:
    lenient = call("--json", **good, KEEP_ALIVE="5")
    strict = call("--json", "--strict", **good, KEEP_ALIVE="5")
    in_order = call("--strict", **good)

    assert (lenient.exit_code, json.loads(lenient.stdout)["ok"]) == (0, True)
    assert (strict.exit_code, json.loads(strict.stdout)["ok"]) == (1, False)
    assert in_order.exit_code == 0


def test_json_has_the_documented_form(call: Call, good: dict[str, str], root: Path) -> None:
    report = json.loads(call("--json", **good, KEEP_ALIVE="5").stdout)

    assert list(report) == ["format", "version", "ok", "counts", "results"]
    assert report["format"] == 1
    assert report["counts"] == {"ok": 18, "warning": 1, "problem": 0, "not_checked": 0}
    assert report["results"][1] == {
        "group": "settings",
        "check": "limits",
        "state": "warning",
        "text": "KEEP_ALIVE (5 s) closes connections on which a proxy may still send",
        "advice": "Set it to more than the idle timeout of the proxy in front, which often is 60 s.",
    }
    page = (root / "docs" / "operations.md").read_text()
    assert [
        name for name in (*report, *report["results"][0], *report["counts"]) if f"`{name}`" not in page
    ] == []
