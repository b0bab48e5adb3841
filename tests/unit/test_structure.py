"""The structure of the project: imports form no cycles; document, handlers, schemas and tables agree."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from marshmallow_sqlalchemy import SQLAlchemySchema
from sqlalchemy import CheckConstraint

from users_api import handlers, schemas
from users_api.config import Config
from users_api.database import page_indexes, select_page
from users_api.document import document_path, load_document
from users_api.engine.body_reader import BodyTimeout, BodyTooLarge
from users_api.engine.document import Document
from users_api.handlers.user_queries import SORTING
from users_api.models import User

PACKAGE = Path(handlers.__file__).parent.parent
LIBRARIES = {"access", "database", "engine", "observability", "rate_limits", "server"}
MAY_IMPORT = {
    "app": {
        "authentication",
        "config",
        "contract_violations",
        "cors",
        "database",
        "document",
        "engine",
        "errors",
        "hosts",
        "limiting",
        "models",
        "observability",
        "rate_limits",
        "security_headers",
        "server",
    },
    "authentication": {"access", "clients", "config", "database", "errors"},
    "checks": {
        "access",
        "app",
        "config",
        "database",
        "development",
        "limiting",
        "rate_limits",
        "server",
        "serving",
    },
    "cli": {
        "access",
        "app",
        "checks",
        "clients",
        "config",
        "database",
        "development",
        "document",
        "engine",
        "models",
        "seeds",
        "server",
        "serving",
        "transfer",
    },
    "clients": {"access", "database", "models"},
    "config": {"access", "observability", "rate_limits", "server"},
    "contract_violations": {"engine", "observability"},
    "cors": {"engine", "envelope", "security_headers"},
    "development": {"observability", "security_headers", "server", "serving"},
    "document": {"engine"},
    "envelope": {"engine", "security_headers"},
    "errors": {"access", "database", "document", "engine", "envelope"},
    "gunicorn_conf": {"config", "observability", "rate_limits", "server", "serving"},
    "hosts": {"envelope"},
    "handlers": {
        "access",
        "clients",
        "database",
        "engine",
        "envelope",
        "errors",
        "models",
        "observability",
        "schemas",
        "security_headers",
    },
    "limiting": {"access", "config", "engine", "envelope", "rate_limits"},
    "migrations": {"database"},
    "models": {"database"},
    "schemas": {"engine", "models"},
    "security_headers": set(),
    "seeds": {"database", "models"},
    "serving": {"observability", "security_headers", "server"},
    "transfer": {"database", "document", "engine", "errors", "models", "schemas"},
}


@pytest.fixture(scope="module")
def document() -> Document:
    return Document.load(document_path())


@cache
def modules() -> dict[str, ast.Module]:
    """Return the parsed modules of the package by name, without the migrations' versions."""
    files = [
        file
        for file in PACKAGE.rglob("*.py")
        if "versions" not in file.parts and file != PACKAGE / "__init__.py"
    ]
    names = [
        ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__") for file in files
    ]
    return {name: ast.parse(file.read_text()) for name, file in zip(names, files, strict=True)}


def imports(module: ast.Module) -> Iterator[str]:
    """Yield the modules of `users_api` that a module imports at run time."""
    for_types = {
        node
        for branch in ast.walk(module)
        if isinstance(branch, ast.If)
        and isinstance(branch.test, ast.Name)
        and branch.test.id == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    for node in ast.walk(module):
        if (
            isinstance(node, ast.ImportFrom)
            and (node.module or "").startswith("users_api")
            and node not in for_types
        ):
            parent = (node.module or "").removeprefix("users_api").removeprefix(".")
            for alias in node.names:
                name = f"{parent}.{alias.name}".lstrip(".")
                yield name if name in modules() else parent


def packages() -> dict[str, set[str]]:
    """Return the imports of each top-level package and module."""
    found: dict[str, set[str]] = {}
    for name, module in modules().items():
        package = name.partition(".")[0]
        found.setdefault(package, set()).update(imported.partition(".")[0] for imported in imports(module))
    return {package: imported - {package} for package, imported in found.items()}


def test_the_libraries_import_neither_the_service_nor_each_other() -> None:
    assert {name: imported for name, imported in packages().items() if name in LIBRARIES and imported} == {}


def test_modules_of_the_service_import_only_what_they_may() -> None:
    service = {name: imported for name, imported in packages().items() if name not in LIBRARIES}

    assert service.keys() == MAY_IMPORT.keys()
    for name, imported in service.items():
        assert imported <= MAY_IMPORT[name], name


def test_imports_have_no_cycles() -> None:
    TopologicalSorter({name: set(imports(module)) - {name} for name, module in modules().items()}).prepare()


@pytest.mark.parametrize("package", ["access", "observability", "rate_limits", "server"])
def test_a_library_imports_only_itself(package: str) -> None:
    for name, module in modules().items():
        if name.partition(".")[0] == package:
            assert {imported.partition(".")[0] for imported in imports(module)} <= {package}, name


def test_test_suites_do_not_import_each_other(root: Path) -> None:
    suites = {folder.name for folder in (root / "tests").iterdir() if folder.is_dir()} - {"support"}
    for file in [*(root / "tests").rglob("*.py"), *(root / "bench").rglob("*.py")]:
        own = file.relative_to(root / "tests").parts[0] if root / "tests" in file.parents else "bench"
        nodes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
        imported = {
            (node.module or "").split(".")[1] for node in nodes if (node.module or "").startswith("tests.")
        }
        assert imported & suites <= {own}, file
        assert own != "bench" or not imported, file


def test_functions_contain_no_imports() -> None:
    for name, module in modules().items():
        functions = [
            node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        hidden = [
            node
            for function in functions
            for node in ast.walk(function)
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        assert hidden == [], name


def test_each_operation_has_a_handler_and_vice_versa(document: Document) -> None:
    assert sorted(node.operation["operationId"] for node in document.operations()) == sorted(handlers.__all__)


def resources() -> list[type[SQLAlchemySchema[Any]]]:
    """Return the marshmallow schemas of the service."""
    found = [
        each
        for each in vars(schemas).values()
        if isinstance(each, type) and issubclass(each, SQLAlchemySchema)
    ]
    return [each for each in found if each.__module__ == schemas.__name__]


@pytest.mark.parametrize("schema", resources())
def test_document_schema_and_table_agree(schema: type[SQLAlchemySchema[Any]]) -> None:
    model = schema.Meta.model
    shown = load_document()["components"]["schemas"][model.__name__]
    columns = model.__table__.columns

    assert list(shown["properties"]) == shown["required"] == list(schema().fields)
    for name in [each for each in shown["properties"] if each in columns]:
        rule = resolved(shown["properties"][name])
        assert columns[name].nullable is rule.get("nullable", False), name
        if columns[name].type.python_type is str:
            assert columns[name].type.length == rule.get("maxLength", columns[name].type.length), name


def resolved(rule: dict[str, Any]) -> dict[str, Any]:
    """Return the schema, after following a reference."""
    if "$ref" in rule:
        return resolved(load_document()["components"]["schemas"][rule["$ref"].rpartition("/")[2]])
    return rule


def test_document_and_table_agree_on_the_largest_id() -> None:
    checks = [str(each.sqltext) for each in User.__table__.constraints if isinstance(each, CheckConstraint)]

    assert f"id BETWEEN 1 AND {load_document()['components']['schemas']['Id']['maximum']}" in checks


def test_request_properties_match_response_properties() -> None:
    known = load_document()["components"]["schemas"]
    requests = {
        name: name.removeprefix("New").removesuffix("Change").removesuffix("Replacement")
        for name in known
        if name.startswith("New") or name.endswith(("Change", "Replacement"))
    }

    assert requests
    for name, shown in requests.items():
        for property_, rule in known[name]["properties"].items():
            assert rule == known[shown]["properties"].get(property_, rule), (name, property_)


def test_every_schema_is_closed_and_bounded() -> None:
    for name, schema in load_document()["components"]["schemas"].items():
        if schema["type"] == "object":
            assert schema["additionalProperties"] is (name == "TokenRequest")  # RFC 6749, 3.2
        for rule in [schema, *map(resolved, schema.get("properties", {}).values())]:
            if rule["type"] == "string":
                assert "maxLength" in rule or "enum" in rule
            elif rule["type"] == "integer":
                assert {"minimum", "maximum"} <= set(rule)
            elif rule["type"] == "array":
                assert "maxItems" in rule


def filters() -> set[str]:
    """Return the parameters of the list that are filters by a column of their name."""
    parameters = {resolved(each)["name"] for each in load_document()["paths"]["/users"]["get"]["parameters"]}
    return parameters - {"limit", "after", "before", "key"} - SORTING


def test_every_filter_of_the_list_is_a_column() -> None:
    assert filters() <= set(User.__table__.columns.keys())


def test_every_combination_of_filters_has_an_index() -> None:
    indexed = filters() - {"email"}  # An email belongs to one user.
    together = [names for length in range(len(indexed) + 1) for names in combinations(indexed, length)]

    statements = {names: str(select_page(User.__table__, names, "postgresql")) for names in together}

    assert [names for names, statement in statements.items() if "(SELECT" not in statement] == []


def test_the_indexes_of_filters_begin_with_different_columns() -> None:
    names = [[column.name for column in columns] for columns in page_indexes(User.__table__)]
    first = [index[0] for index in names if index and filters().issuperset(index)]

    assert sorted(first) == sorted(set(first))


def test_the_documents_examples_name_the_default_limits() -> None:
    responses = load_document()["components"]["responses"]
    words = {
        name: each["content"]["application/json"].get("example", {}).get("message")
        for name, each in responses.items()
    }

    assert words["ContentTooLarge"] == BodyTooLarge(Config.BODY_LIMIT).detail
    assert words["RequestTimeout"] == BodyTimeout(Config.BODY_TIMEOUT).detail
