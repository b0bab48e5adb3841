"""The shape of the project: arrows point one way; document, handlers, schema and table are one."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from connexion.json_schema import resolve_refs

from users_api import handlers, models
from users_api.config import Config
from users_api.errors import BodyTimeout, BodyTooLarge
from users_api.http.document import load_document
from users_api.models import User
from users_api.schemas import UserSchema

METHODS = {"get", "put", "post", "delete", "patch"}
PACKAGE = Path(handlers.__file__).parent.parent
MAY_IMPORT = {
    "answers": set(),
    "app": {"config", "connections", "db", "errors", "models"}
    | {
        f"http.{part}"
        for part in ("bridge", "document", "documentation", "failures", "guard", "metrics", "validation", "validators")
    },
    "cli": {"app", "config", "db", "http.document", "seeds"},
    "config": set(),
    "connections": {"greenlets"},
    "db": {"connections", "pool", "statements"},
    "errors": set(),
    "greenlets": set(),
    "handlers": {"handlers.health", "handlers.ping", "handlers.users"},
    "handlers.health": {"answers", "db", "errors"},
    "handlers.ping": {"answers"},
    "handlers.users": {"answers", "db", "errors", "models", "schemas"},
    "http": set(),
    "http.bridge": {"answers", "greenlets"},
    "http.balance": {"config", "http.listener"},
    "http.document": set(),
    "http.documentation": {"errors", "http.document", "http.metrics"},
    "http.failures": set(),
    "http.guard": {"errors", "http.routing"},
    "http.listener": set(),
    "http.metrics": {"config"},
    "http.protocol": {"errors", "http.transport"},
    "http.routing": {"errors"},
    "http.server": {"config", "http.balance", "http.listener", "http.metrics", "http.protocol"},
    "http.transport": set(),
    "http.validation": set(),
    "http.validators": {"errors"},
    "migrations.env": {"db"},
    "models": {"db"},
    "pool": set(),
    "schemas": {"models"},
    "seeds": {"db", "models"},
    "statements": set(),
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document with its references resolved."""
    return resolve_refs(load_document())


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the document's operations."""
    for path in document["paths"].values():
        yield from (operation for method, operation in path.items() if method in METHODS)


@cache
def modules() -> dict[str, ast.Module]:
    """Return the parsed modules of the package by their names within it; migrations stand for themselves."""
    files = [file for file in PACKAGE.rglob("*.py") if "versions" not in file.parts and file != PACKAGE / "__init__.py"]
    names = [".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__") for file in files]
    return {name: ast.parse(file.read_text()) for name, file in zip(names, files, strict=True)}


def imports(module: ast.Module) -> set[str]:
    """Return the modules of ours that a module imports."""
    known, found = modules(), set()
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("users_api"):
            parent = node.module.removeprefix("users_api").removeprefix(".")
            for alias in node.names:
                name = f"{parent}.{alias.name}".lstrip(".")
                found.add(name if name in known else parent)
    return found


def test_arrows_point_one_way() -> None:
    assert {name: imports(module) for name, module in modules().items()} == MAY_IMPORT


def test_no_import_hides_in_a_function() -> None:
    for name, module in modules().items():
        functions = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        hidden = [node for function in functions for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]
        assert hidden == [], name


def test_operations_and_handlers_are_the_same(document: dict[str, Any]) -> None:
    assert sorted(operation["operationId"] for operation in operations(document)) == sorted(handlers.__all__)


def test_document_schema_and_table_agree(document: dict[str, Any]) -> None:
    shown = document["components"]["schemas"]["User"]
    columns = User.__table__.columns

    assert list(shown["properties"]) == shown["required"] == list(UserSchema().fields)
    assert set(columns.keys()) - set(shown["properties"]) == {"version"}
    for name, property_ in shown["properties"].items():
        assert not columns[name].nullable
        assert not property_.get("nullable", False)
        if columns[name].type.python_type is str:
            assert columns[name].type.length == property_["maxLength"]
    assert shown["properties"]["id"]["maximum"] == models.LARGEST_ID


def test_what_comes_in_has_the_form_of_what_goes_out(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    for name in ("NewUser", "UserReplacement", "UserChange"):
        for property_, rule in schemas[name]["properties"].items():
            assert rule == schemas["User"]["properties"][property_], (name, property_)


def test_every_input_is_closed_and_bounded(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        if schema["type"] == "object":
            assert schema["additionalProperties"] is False
        for rule in [schema, *schema.get("properties", {}).values()]:
            if rule["type"] == "string":
                assert "maxLength" in rule or "enum" in rule
            elif rule["type"] == "integer":
                assert {"minimum", "maximum"} <= set(rule)
            elif rule["type"] == "array":
                assert "maxItems" in rule


def test_the_document_tells_the_limits_that_the_guard_keeps(document: dict[str, Any]) -> None:
    responses = document["components"]["responses"]
    words = {name: answer["content"]["application/json"].get("example", {}).get("message") for name, answer in responses.items()}

    assert words["ContentTooLarge"] == BodyTooLarge(Config.BODY_LIMIT).message
    assert words["RequestTimeout"] == BodyTimeout(Config.BODY_TIMEOUT).message
