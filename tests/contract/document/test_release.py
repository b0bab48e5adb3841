"""The document stays compatible with the released one until the major version increases."""

import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from users_api.document import load_document

Change = Callable[[dict[str, Any]], None]
VERSION = version("users-api")
MAJOR = int(VERSION.partition(".")[0])


@pytest.fixture
def compare(root: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Compares the current document with a changed one, whose major version may be higher."""

    def compare(change: Change, *, rise: int) -> subprocess.CompletedProcess[str]:
        document = load_document()
        change(document)
        changed = tmp_path / "changed.yaml"
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        changed.write_text(text.replace(f"  version: {VERSION}", f'  version: "{MAJOR + rise}.0.0"', 1))
        command = [
            "make",
            "--no-print-directory",
            "compat",
            "RELEASED=openapi/users.yaml",
            f"DOCUMENT={changed}",
        ]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    return compare


def schemas_of(document: dict[str, Any]) -> dict[str, Any]:
    return document["components"]["schemas"]


def remove_property(document: dict[str, Any]) -> None:
    user = schemas_of(document)["User"]
    user["required"].remove("active")
    del user["properties"]["active"]


def make_property_optional(document: dict[str, Any]) -> None:
    schemas_of(document)["User"]["required"].remove("active")


def add_required_property(document: dict[str, Any]) -> None:
    schemas_of(document)["UserReplacement"]["required"].append("active")


def narrow_bound(document: dict[str, Any]) -> None:
    schemas_of(document)["Username"]["maxLength"] -= 1


def a_type_changed(document: dict[str, Any]) -> None:
    schemas_of(document)["User"]["properties"]["created_date"] = {"type": "integer"}


def remove_enum_value(document: dict[str, Any]) -> None:
    schemas_of(document)["NewUser"]["properties"]["username"] = {"type": "string", "enum": ["ada"]}


def remove_status(document: dict[str, Any]) -> None:
    del document["paths"]["/users/{user_id}"]["delete"]["responses"]["412"]


def a_header_less(document: dict[str, Any]) -> None:
    del document["paths"]["/users"]["post"]["responses"]["201"]["headers"]["ETag"]


def a_parameter_less(document: dict[str, Any]) -> None:
    document["paths"]["/users"]["get"]["parameters"].pop()


def an_operation_less(document: dict[str, Any]) -> None:
    del document["paths"]["/users/{user_id}"]["patch"]


def add_operation(document: dict[str, Any]) -> None:
    document["paths"]["/pong"] = {"get": document["paths"]["/ping"]["get"] | {"operationId": "pong"}}


BREAKING = [
    remove_property,
    make_property_optional,
    add_required_property,
    narrow_bound,
    a_type_changed,
    remove_enum_value,
    remove_status,
    a_header_less,
    a_parameter_less,
    an_operation_less,
]


def test_the_document_and_the_package_have_one_version() -> None:
    assert load_document()["info"]["version"] == VERSION


@pytest.mark.parametrize("change", BREAKING)
def test_a_breaking_change_is_rejected(compare: Callable[..., Any], change: Change) -> None:
    comparison = compare(change, rise=0)

    assert comparison.returncode == 2
    assert "✖ major" in comparison.stdout
    assert f"info.version must be {MAJOR + 1}.0.0 or higher" in comparison.stdout


@pytest.mark.parametrize(("change", "rise"), [(remove_property, 1), (add_operation, 0)])
def test_a_new_major_version_may_break_and_any_version_may_add(
    compare: Callable[..., Any], change: Change, rise: int
) -> None:
    comparison = compare(change, rise=rise)

    assert comparison.returncode == 0, comparison.stdout
