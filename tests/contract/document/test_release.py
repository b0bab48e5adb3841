"""The document as a promise over time: what was released holds until the major version rises."""

import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from users_api.http.document import load_document

Change = Callable[[dict[str, Any]], None]


VERSION = version("users-api")
MAJOR = int(VERSION.partition(".")[0])


@pytest.fixture
def compare(root: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Compares the document of today with a changed one, whose major version may have risen."""

    def compare(change: Change, *, rise: int) -> subprocess.CompletedProcess[str]:
        document = load_document()
        change(document)
        changed = tmp_path / "changed.yaml"
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        changed.write_text(text.replace(f"  version: {VERSION}", f'  version: "{MAJOR + rise}.0.0"', 1))
        command = ["make", "--no-print-directory", "compat", "RELEASED=openapi/users.yaml", f"DOCUMENT={changed}"]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    return compare


def a_property_less(document: dict[str, Any]) -> None:
    user = document["components"]["schemas"]["User"]
    user["required"].remove("active")
    del user["properties"]["active"]


def an_operation_more(document: dict[str, Any]) -> None:
    document["paths"]["/pong"] = {"get": document["paths"]["/ping"]["get"] | {"operationId": "pong"}}


def test_the_document_and_the_package_have_one_version() -> None:
    assert load_document()["info"]["version"] == VERSION


def test_a_breaking_change_is_refused(compare: Callable[..., Any]) -> None:
    comparison = compare(a_property_less, rise=0)

    assert comparison.returncode == 2
    assert "✖ major" in comparison.stdout
    assert f"info.version must be {MAJOR + 1}.0.0 or higher" in comparison.stdout


@pytest.mark.parametrize(("change", "rise"), [(a_property_less, 1), (an_operation_more, 0)])
def test_a_new_major_version_may_break_and_any_version_may_add(compare: Callable[..., Any], change: Change, rise: int) -> None:
    comparison = compare(change, rise=rise)

    assert comparison.returncode == 0, comparison.stdout
