"""Locates and loads the service's OpenAPI document."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from users_api.engine.document import Document


def document_path() -> Path:
    """Return the path of the document: in the installed package, or next to the package in a checkout."""
    package = Path(str(files("users_api")))
    installed = package / "openapi" / "users.yaml"
    return installed if installed.exists() else package.parent / "openapi" / "users.yaml"


def load_document() -> dict[str, Any]:
    """Return the validated document.

    Raises:
        DocumentError: the document is invalid, or uses a feature that the engine cannot enforce.
    """
    return Document.load(document_path()).root
