"""Settings that are wrong, that do not fit together, or that this machine cannot provide."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.checks.outcome import Outcome
from tests.support.service import COMMAND
from users_api.checks.machine import usable_cores
from users_api.document import document_path

Check = Callable[..., Outcome]


def test_every_wrong_value_is_reported(check: Check) -> None:
    found = check(PORT="http", DATABASE_LOCK_TIMEOUT="4s", WEB_CONCURRENCY="0")

    assert [(state, text.split()[0]) for state, text in found["settings.values"]] == [
        ("problem", "DATABASE_LOCK_TIMEOUT"),
        ("problem", "WEB_CONCURRENCY"),
        ("problem", "PORT"),
    ]


def test_every_combination_that_does_not_fit_is_reported(check: Check) -> None:
    found = check(
        AUTH_ISSUER="https://issuer.example",
        TOKEN_KEYS="1" * 64,
        MEMORY_BUDGET="4194304",
        BODY_LIMIT="4194304",
    )

    assert [text.split(" ")[0] for _, text in found["settings.values"]] == [
        "AUTH_ISSUER",
        "TOKEN_KEYS",
        "Unset",
        "MEMORY_BUDGET",
    ]


def test_a_wrong_value_prevents_only_the_checks_that_need_it(check: Check, tmp_path: Path) -> None:
    found = check(PORT="http", DATABASE_URL=f"sqlite:///{tmp_path}/missing.db")

    assert found["machine.open_files"][0][0] == "not_checked"
    assert found["document.document"] == [("not_checked", "a setting is wrong")]
    assert found["machine.cores"][0][0] == "ok"
    assert found["database.connection"][0][0] == "problem"


def test_a_wrong_url_leaves_the_database_unchecked(check: Check) -> None:
    found = check(DATABASE_URL="mysql://ada:secret@db/users")

    assert set(found.states("database").values()) == {"not_checked"}
    assert found["settings.values"][0][1].startswith("DATABASE_URL names the database 'mysql'")
    assert found.states("access") == {"tokens": "ok", "hosts": "ok"}


def test_without_a_settings_class_nothing_else_is_checked(check: Check) -> None:
    found = check(APP_SETTINGS="users_api.config.Nothing")

    states = [each["state"] for each in found.report["results"]]
    assert states == ["problem", *["not_checked"] * 5]
    assert found["database.database"] == [("not_checked", "depends on APP_SETTINGS")]


def test_the_default_limits_fit_together(check: Check) -> None:
    assert check()["settings.limits"] == [("ok", "timeouts, connections and sizes fit together")]


@pytest.mark.parametrize(
    ("settings", "text", "advice"),
    [
        (
            {"REQUEST_TIMEOUT": "6.5"},
            "REQUEST_TIMEOUT (6.5 s) ends requests whose statements still run",
            "Set it to at least 7: DATABASE_POOL_TIMEOUT plus DATABASE_STATEMENT_TIMEOUT.",
        ),
        (
            {"DATABASE_LOCK_TIMEOUT": "5"},
            "DATABASE_LOCK_TIMEOUT (5 s) never ends a wait before DATABASE_STATEMENT_TIMEOUT",
            "Set it to less than 5, so that the log names locks as the cause.",
        ),
        (
            {"REQUESTS_IN_FLIGHT": "7"},
            "REQUESTS_IN_FLIGHT (7) uses fewer connections than a worker has",
            "Set it to at least 8, or lower DATABASE_CONNECTIONS.",
        ),
        (
            {"KEEP_ALIVE": "60"},
            "KEEP_ALIVE (60 s) closes connections on which a proxy may still send",
            "Set it to more than the idle timeout of the proxy in front, which often is 60 s.",
        ),
        (
            {"KEEP_ALIVE": "90", "DYNO": "web.1"},
            "KEEP_ALIVE (90 s) closes connections on which a proxy may still send",
            "Set it to more than the idle timeout of the proxy in front, which often is 90 s.",
        ),
        (
            {"GRACEFUL_TIMEOUT": "7"},
            "GRACEFUL_TIMEOUT (7 s) interrupts requests that REQUEST_TIMEOUT allows",
            "Set it to at least 8.",
        ),
        (
            {"GRACEFUL_TIMEOUT": "26", "DYNO": "web.1"},
            "GRACEFUL_TIMEOUT (26 s) is longer than Heroku waits before it kills a dyno",
            "Set it to less than 26.",
        ),
    ],
)
def test_limits_that_prevent_each_other_are_warnings(
    check: Check, settings: dict[str, str], text: str, advice: str
) -> None:
    found = check(**settings)

    assert found["settings.limits"] == [("warning", text)]
    assert found.advice("settings.limits") == [advice]


def test_more_workers_than_cores_are_a_warning(check: Check) -> None:
    most = 2 * usable_cores()

    found = check(WEB_CONCURRENCY=str(most + 1), DATABASE_CONNECTIONS="1000")

    assert found["machine.cores"][0][0] == "warning"
    assert found.advice("machine.cores") == [
        f"Set WEB_CONCURRENCY to at most {most}: more use memory and are not faster."
    ]


def test_all_cores_count_where_processes_cannot_be_restricted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")

    assert usable_cores() == os.cpu_count()


def test_too_few_open_files_are_a_problem(tmp_path: Path) -> None:
    environment = os.environ | {"DATABASE_URL": f"sqlite:///{tmp_path}/missing.db"}
    command = ["bash", "-c", f"ulimit -n 1000 && exec {COMMAND} check --json"]

    checked = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    found = Outcome(json.loads(checked.stdout))
    assert found["machine.open_files"] == [
        ("problem", "4136 open files are needed, but the system allows 1000")
    ]
    assert found.advice("machine.open_files") == [
        "Set CLIENT_CONNECTIONS to at most 864, or raise the limit, for example with `ulimit -n`."
    ]


def test_an_unusable_instance_folder_is_a_problem(
    check: Check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token_keys").write_text("no key")
    monkeypatch.setattr("flask.Flask.auto_find_instance_path", lambda _: str(tmp_path))

    found = check(APP_SETTINGS="users_api.config.DevelopmentConfig", AUTH="required")

    assert found["document.document"][0][0] == "problem"
    assert found["document.document"][0][1].startswith("Set TOKEN_KEYS, because")


def test_a_missing_handler_is_a_problem(
    check: Check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ahead = tmp_path / "ahead.yaml"
    ahead.write_text(document_path().read_text().replace('operationId: "ping"', 'operationId: "greet"'))
    monkeypatch.setattr("users_api.document.document_path", lambda: ahead)

    found = check()

    assert found["document.document"] == [
        (
            "problem",
            (
                "#/paths/~1ping/get/operationId: module 'users_api.handlers' has no attribute 'greet'; "
                "write the function, or correct the operationId"
            ),
        )
    ]
