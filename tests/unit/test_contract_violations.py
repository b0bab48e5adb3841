"""Violations of the document are all counted, and logged once a second for each operation."""

import logging

import pytest

from users_api.contract_violations import ContractViolations
from users_api.engine.violations import Violation
from users_api.observability.cells import SharedCells
from users_api.observability.exposition import Metrics
from users_api.observability.recorder import Recorder
from users_api.observability.repeats import RepeatFilter

EMAIL = Violation("/body/data/email", "format")
STATUS = Violation("/status", "responses")


@pytest.fixture
def cells() -> SharedCells:
    return SharedCells()


@pytest.fixture
def violations(cells: SharedCells) -> ContractViolations:
    return ContractViolations(Recorder(cells), ["get_user", "ping"])


def test_a_line_names_operation_status_and_places(
    violations: ContractViolations, caplog: pytest.LogCaptureFixture
) -> None:
    violations("get_user", 200, [EMAIL, Violation("/headers/ETag", "required")])

    places = "/body/data/email (format), /headers/ETag (required)"
    assert caplog.messages == [f"get_user returned 200, which violates the document at {places}"]


def test_each_operation_has_a_line_a_second(
    violations: ContractViolations, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caplog.handler, "filters", [RepeatFilter(caplog.handler, lambda: 1000.0)])

    for operation in ("get_user", "get_user", "ping", "get_user"):
        violations(operation, 418, [STATUS])

    line = "returned 418, which violates the document at /status (responses)"
    assert caplog.messages == [f"get_user {line}", f"ping {line}"]
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


def test_each_violation_is_counted_from_zero(violations: ContractViolations, cells: SharedCells) -> None:
    name = "contract_violations_total"
    before = Metrics(cells).text().decode()

    for _ in range(3):
        violations("get_user", 200, [EMAIL, STATUS])

    for operation in ("get_user", "ping"):
        assert f'{name}{{operation="{operation}"}} 0.0\n' in before
    assert f'{name}{{operation="get_user"}} 3.0\n' in Metrics(cells).text().decode()
