"""Small applications for the engine's tests: a document with a few operations, and their handlers."""

from collections.abc import Callable
from typing import Any

from users_api.engine.app import App

OBJECT = {"200": {"description": "Anything.", "content": {"application/json": {"schema": {}}}}}


def operation(operation_id: str, *parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return an operation of the document."""
    return {"operationId": operation_id, "parameters": list(parameters), "responses": OBJECT, **more}


def path_parameter(name: str, **schema: Any) -> dict[str, Any]:
    """Return a path parameter; without a schema it is a string."""
    return {"name": name, "in": "path", "required": True, "schema": schema or {"type": "string"}}


def json_body(**schema: Any) -> dict[str, Any]:
    """Return a required JSON body."""
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def document(paths: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a document with these paths."""
    return {"openapi": "3.0.3", "info": {"title": "A program", "version": "1"}, "paths": paths, **more}


def program(
    paths: dict[str, Any], *functions: Callable[..., Any], more: dict[str, Any] | None = None, **options: Any
) -> App:
    """Return an application with one document, whose operationIds name the functions."""
    named = {function.__name__: function for function in functions}
    app = App(__name__, resolver=lambda name: resolve(named, name), **options)
    app.app.secret_key = "a public key for tests"  # noqa: S105 -- it protects nothing.
    app.add_api(document(paths, **(more or {})))
    return app


def resolve(named: dict[str, Callable[..., Any]], name: str) -> Callable[..., Any]:
    """Return the function of an operationId, or raise what Connexion's resolver raises."""
    if name not in named:
        message = f"there is no function {name}"
        raise AttributeError(message)
    return named[name]
