"""The OpenAPI document, read once and handed to all that follow it."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml


def document_path() -> Path:
    """Return where the document is: inside the installed package, or beside it in a checkout."""
    package = Path(str(files("users_api")))
    installed = package / "openapi" / "users.yaml"
    return installed if installed.exists() else package.parent / "openapi" / "users.yaml"


def load_document() -> dict[str, Any]:
    """Return the document; as a dict, since Connexion would send a file through Jinja2 first."""
    document: dict[str, Any] = yaml.load(document_path().read_bytes(), Loader=yaml.CSafeLoader)
    return document


def operation_ids(document: Mapping[str, Any]) -> list[str]:
    """Return the names of the document's operations, in its order."""
    parts = (part for path in document["paths"].values() for part in path.values())
    return [part["operationId"] for part in parts if "operationId" in part]
