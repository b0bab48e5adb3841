"""Stock Connexion and the engine with documents that both can handle."""

from functools import partial
from types import ModuleType
from typing import Any

from connexion import FlaskApp

from tests.support.documents import load
from users_api.engine import App
from users_api.engine.document import Document


def serve_stock(name: str, module: ModuleType) -> FlaskApp:
    """Return a stock Connexion application with the comparable document."""
    app, document = FlaskApp(__name__), comparable(name)
    app.add_api(document.root, base_path=document.base_path or None, resolver=partial(getattr, module))
    return app


def serve_like_stock(name: str, module: ModuleType) -> App:
    """Return an application of the engine with the comparable document and default options."""
    app = App(__name__)
    app.add_api(comparable(name).root, resolver=partial(getattr, module))
    return app


def comparable(name: str) -> Document:
    """Return the document without what Connexion cannot handle.

    Connexion merges the media types of all statuses, resolves references in extensions, and treats a property
    named `$ref` as a reference.
    """
    root = {
        key: value for key, value in load(name).root.items() if key == "x-bundled" or not key.startswith("x-")
    }
    document = Document.load(_without_named_references(root))
    for node in document.operations():
        node.operation.pop("x-requests", None)
        for status in [status for status in node.operation["responses"] if status.startswith("4")]:
            del node.operation["responses"][status]
    return document


def _without_named_references(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_named_references(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _without_named_references(each)
        for key, each in value.items()
        if key != "$ref" or isinstance(each, str)
    }
