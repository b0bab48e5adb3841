"""The page "routing" of Connexion's documentation."""

from copy import deepcopy
from typing import Any

from connexion.resolver import MethodResolver, MethodViewResolver, RelativeResolver, RestyResolver

from tests.engine.connexion_pages.comparing import (
    TEXT,
    Request,
    assert_same_outcomes,
    get,
    greet,
    op,
    post,
    query,
)
from tests.engine.programs import OBJECT, document, json_body, path_parameter


def number(value: Any) -> Any:
    """Return the argument and its type."""
    return {"value": value, "type": type(value).__name__}


def test_routing_by_operation_ids() -> None:
    def build(kind: Any) -> Any:
        app = kind(__name__)
        relative = {"operationId": "greet", "parameters": [path_parameter("name")], "responses": TEXT}
        paths = {
            "/controller/{name}": {"post": {**relative, "x-openapi-router-controller": greet.__module__}},
            "/int/{value}": {"get": op(number, path_parameter("value", type="integer"))},
        }
        app.add_api(document(paths), base_path="/a")
        app.add_api(
            document({"/relative/{name}": {"get": relative}}),
            base_path="/b",
            resolver=RelativeResolver(greet.__module__),
        )
        numbers = {
            "operationId": "n",
            "parameters": [path_parameter("value", type="number")],
            "responses": OBJECT,
        }
        wide = {
            "operationId": "w",
            "parameters": [path_parameter("value", type="string", format="path")],
            "responses": OBJECT,
        }
        app.add_api(
            document({"/double/{value}": {"get": numbers}, "/wide/{value}": {"get": wide}}),
            base_path="/c",
            resolver=lambda _name: number,
        )
        return app

    assert_same_outcomes(
        "routing by operation ids",
        build,
        post("/a/controller/ada"),
        get("/b/relative/ada"),
        Request("HEAD", "/b/relative/ada"),
        *(get(f"/a/int/{text}") for text in ("7", "-7", "+7", "007", "-0", "x", "1.5", "")),
        *(get(f"/c/double/{text}") for text in ("1.5", "-1.5", "+1.50", "1.", ".5", "7", "1e5", "x")),
        get("/c/wide/a/b/c"),
    )


def test_routing_by_path_and_method() -> None:
    body = json_body(type="object")
    limit = query("limit", type="integer")

    def build(kind: Any) -> Any:
        app = kind(__name__)

        def paths(name: str = "pet") -> dict[str, Any]:
            collection = {
                "get": {"parameters": [limit], "responses": OBJECT},
                "post": {"requestBody": body, "responses": OBJECT},
            }
            one = {"get": {"parameters": [path_parameter(name, type="integer")], "responses": OBJECT}}
            return deepcopy({f"/{name}s": collection, f"/{name}s/{{{name}}}": one})

        app.add_api(document(paths()), base_path="/resty", resolver=RestyResolver("tests.engine.zoo"))
        app.add_api(document(paths()), base_path="/method", resolver=MethodResolver("tests.engine.zoo"))
        given = {"KeepersView": {"kwargs": {"names": ("Rex", "Kit", "Ada")}}}
        keepers = MethodViewResolver("tests.engine.zoo", class_arguments=given)
        app.add_api(document(paths("keeper")), base_path="/view", resolver=keepers)
        app.add_api(
            document({"/late": {"get": {"operationId": "absent.handler", "responses": OBJECT}}}),
            base_path="/late",
            resolver_error=501,
        )
        return app

    names = ["/resty/pets", "/method/pets", "/view/keepers"]
    assert_same_outcomes(
        "routing by path and method",
        build,
        *(get(name) for name in names),
        *(get(f"{name}?limit=1") for name in names),
        *(get(f"{name}/1") for name in names),
        *(post(name, json={"name": "x"}) for name in names),
        get("/late/late"),
    )
