"""Imported distributions are declared and locked, and locked versions are within the declared bounds."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import files, packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PINNED = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)
MADE = {"tests", "tools", "users_api", "users_api_client"}
EXTRAS = {"swagger-ui-bundle"}  # The extra `connexion[swagger-ui]` installs it.
BOUNDED = {  # The service subclasses their classes or uses undocumented features.
    "a2wsgi", "connexion", "flask", "flask-sqlalchemy", "greenlet", "gunicorn", "httptools", "jsonschema-rs",
    "marshmallow", "marshmallow-sqlalchemy", "psycopg2-binary", "sqlalchemy", "starlette", "uvicorn",
    "uvicorn-worker", "uvloop", "werkzeug",
}  # fmt: skip


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def declared(project: dict[str, Any]) -> dict[str, Requirement]:
    """The package's requirements by canonical name."""
    return by_name(project["project"]["dependencies"])


def by_name(lines: list[str]) -> dict[str, Requirement]:
    return {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}


def locked(root: Path, name: str) -> dict[str, str]:
    return dict(PINNED.findall((root / "requirements" / f"{name}.txt").read_text()))


def imported(folder: Path) -> Iterator[str]:
    """Yield the distributions that the modules in a folder import."""
    names = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
    for name in names:
        if name.partition(".")[0] not in MADE | sys.stdlib_module_names:
            yield from map(canonicalize_name, distributions_of(name))


def distributions_of(module: str) -> list[str]:
    """Return the distributions that contain a module; several may share its top-level package."""
    found = distributions()[module.partition(".")[0]]
    path = module.replace(".", "/")
    paths = {f"{path}.py", f"{path}/__init__.py"}
    return found if len(found) == 1 else [name for name in found if not paths.isdisjoint(files_of(name))]


distributions = cache(packages_distributions)


@cache
def files_of(distribution: str) -> list[str]:
    """Return the paths of a distribution's files."""
    return [str(file) for file in files(distribution) or ()]


def test_imports_of_the_package_are_declared(root: Path, declared: dict[str, Requirement]) -> None:
    assert set(imported(root / "users_api")) <= declared.keys()


def test_imports_of_the_tests_are_declared(
    root: Path, project: dict[str, Any], declared: dict[str, Requirement]
) -> None:
    assert (
        set(imported(root / "tests"))
        <= declared.keys() | by_name(project["dependency-groups"]["dev"]).keys() | EXTRAS
    )


@pytest.mark.parametrize("lock", ["run", "dev"])
def test_locked_versions_are_within_the_bounds(
    root: Path, declared: dict[str, Requirement], lock: str
) -> None:
    versions = locked(root, lock)

    assert declared.keys() <= versions.keys()
    assert [name for name, each in declared.items() if versions[name] not in each.specifier] == []


def test_subclassed_libraries_have_upper_bounds(declared: dict[str, Requirement]) -> None:
    assert {name for name in BOUNDED if Version("9999") in declared[name].specifier} == set()


def test_the_locks_are_compiled_from_pyproject(root: Path) -> None:
    makefile = (root / "Makefile").read_text()

    assert "--output-file requirements/run.txt pyproject.toml" in makefile
    assert "--output-file requirements/dev.txt pyproject.toml" in makefile
