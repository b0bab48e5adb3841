"""The page "context" of Connexion's documentation."""

from typing import Any

from connexion.context import context as current_context
from connexion.context import operation as current_operation
from connexion.context import scope as current_scope
from connexion.middleware import MiddlewarePosition

from tests.engine.connexion_pages.comparing import assert_same_outcomes, get, op, post, query
from tests.engine.programs import document, json_body, path_parameter


def context(**_arguments: Any) -> Any:
    """Return the values of the context's proxies."""
    return {
        "operation": [
            current_operation.operation_id.rpartition(".")[2],
            current_operation.method,
            current_operation.path,
        ],
        "parameters": [each["name"] for each in current_operation.parameters],
        "statuses": list(current_operation.responses),
        "produces": current_operation.produces,
        "consumes": current_operation.consumes,
        "body": current_operation.body_schema("application/json").get("type"),
        "scope": [current_scope["method"], current_scope["path"], current_scope["query_string"].decode()],
        "context": dict(current_context),
    }


def whole(context_: Any) -> Any:
    """Return the whole context."""
    return dict(context_)


def test_context() -> None:
    class Stamped:
        """Adds to the context."""

        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("extensions", {}).setdefault("connexion_context", {})["stamp"] = "s"
            await self.app(scope, receive, send)

    def build(kind: Any) -> Any:
        app = kind(__name__)
        paths = {
            "/context/{id}": {
                "post": op(
                    context,
                    path_parameter("id"),
                    query("a", type="string"),
                    requestBody=json_body(type="object"),
                )
            },
            "/whole": {"get": op(whole)},
        }
        app.add_api(document(paths), base_path="/v1")
        app.add_middleware(Stamped, MiddlewarePosition.BEFORE_CONTEXT)
        return app

    assert_same_outcomes("context", build, post("/v1/context/x?a=b", json={}), get("/v1/whole"))
