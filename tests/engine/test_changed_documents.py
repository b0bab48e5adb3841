"""Changes to a document have the same effect in the engine as in stock Connexion."""

import asyncio
import subprocess
import sys
from time import process_time
from typing import Any

import connexion
import flask
import pytest
from connexion import FlaskApp
from connexion.exceptions import OAuthProblem

from tests.engine.programs import OBJECT, document, json_body, operation, path_parameter, program
from users_api.engine import App
from users_api.engine.failures import DocumentError

KEY = {
    "key": {"type": "apiKey", "in": "header", "name": "X-Key", "x-apikeyInfoFunc": f"{__name__}.check_key"}
}
APPS = pytest.mark.parametrize("kind", [FlaskApp, App])


def check_key(apikey: str) -> Any:
    """Return the client's identity."""
    if apikey != "right":
        raise OAuthProblem
    return {"sub": "ada"}


def everything(**arguments: Any) -> Any:
    """Return all arguments."""
    return arguments


def client_of(kind: Any, paths: dict[str, Any], function: Any = everything, /, **more: Any) -> Any:
    """Return a client of an application of the given class, with one handler for all operations."""
    options = {name: more.pop(name) for name in ("strict_validation", "validate_responses") if name in more}
    app = kind(__name__, **options)
    app.add_api(document(paths, **more), resolver=lambda _name: function)
    return app.test_client()


@APPS
@pytest.mark.parametrize("where", ["operation", "document"])
def test_security_on_an_operation_or_globally(kind: Any, where: str) -> None:
    security = {"security": [{"key": []}]}
    secured = operation("x", **(security if where == "operation" else {}))
    more = security if where == "document" else {}
    client = client_of(
        kind, {"/x": {"get": secured}}, lambda: {"ok": True}, components={"securitySchemes": KEY}, **more
    )

    assert client.get("/x").status_code == 401
    assert client.get("/x", headers={"X-Key": "wrong"}).status_code == 401
    assert client.get("/x", headers={"X-Key": "right"}).json() == {"ok": True}


@pytest.mark.parametrize(
    "scheme", [{"type": "http", "scheme": "basic"}, {"type": "http", "scheme": "digest"}]
)
def test_a_requirement_that_nothing_verifies_is_refused_at_startup(scheme: dict[str, Any]) -> None:
    paths = {"/x": {"get": operation("x", security=[{"s": []}])}}
    app = program(paths, everything, more={"components": {"securitySchemes": {"s": scheme}}})

    with pytest.raises(
        DocumentError, match="#/components/securitySchemes/s: nothing verifies this security scheme; "
    ):
        app.build()


@APPS
@pytest.mark.parametrize(
    ("place", "given"), [("query", {"params": {"p": "1"}}), ("header", {"headers": {"p": "1"}})]
)
def test_a_required_parameter(kind: Any, place: str, given: dict[str, Any]) -> None:
    parameter = {"name": "p", "in": place, "required": True, "schema": {"type": "string"}}
    client = client_of(kind, {"/x": {"get": operation("x", parameter)}})

    assert client.get("/x").status_code == 400
    assert client.get("/x", **given).status_code == 200


@APPS
def test_a_required_cookie(kind: Any) -> None:
    parameter = {"name": "p", "in": "cookie", "required": True, "schema": {"type": "string"}}
    client = client_of(kind, {"/x": {"get": operation("x", parameter)}})

    assert client.get("/x").status_code == 400
    assert client.get("/x", headers={"Cookie": "p=1"}).status_code == 200


@APPS
def test_a_string_in_the_path(kind: Any) -> None:
    client = client_of(kind, {"/groups/{slug}": {"get": operation("x", path_parameter("slug"))}})

    assert client.get("/groups/chess").json() == {"slug": "chess"}


@APPS
def test_two_parameters_in_the_path(kind: Any) -> None:
    parameters = [path_parameter("slug"), path_parameter("id", type="integer")]
    client = client_of(kind, {"/groups/{slug}/members/{id}": {"get": operation("x", *parameters)}})

    assert client.get("/groups/chess/members/7").json() == {"slug": "chess", "id": 7}


@APPS
@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"enum": ["a", "b"]}, "a", "c"),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, 1, True),
        ({"anyOf": [{"type": "integer"}, {"maxLength": 1, "type": "string"}]}, "a", "ab"),
        ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, 2, 4),
        ({"not": {"type": "string"}}, 1, "a"),
        ({"type": "array", "items": {}, "minItems": 1}, [1], []),
        ({"type": "array", "items": {}, "maxItems": 1}, [1], [1, 2]),
        ({"type": "array", "items": {}, "uniqueItems": True}, [1, 2], [1, 1]),
        ({"type": "number", "multipleOf": 0.5}, 1.5, 1.2),
        ({"type": "string", "pattern": "^a"}, "ab", "ba"),
        ({"type": "object", "minProperties": 1}, {"a": 1}, {}),
    ],
)
def test_a_value_that_violates_a_keyword_is_rejected(
    kind: Any, schema: dict[str, Any], right: Any, wrong: Any
) -> None:
    body = json_body(type="object", properties={"value": schema}, required=["value"])
    client = client_of(kind, {"/x": {"post": operation("x", requestBody=body)}})

    assert client.post("/x", json={"value": right}).json() == {"body": {"value": right}}
    assert client.post("/x", json={"value": wrong}).status_code == 400


@APPS
def test_null_where_it_is_nullable(kind: Any) -> None:
    body = json_body(
        type="object", properties={"a": {"type": "string", "nullable": True}, "b": {"type": "string"}}
    )
    client = client_of(kind, {"/x": {"post": operation("x", requestBody=body)}})

    assert client.post("/x", json={"a": None}).json() == {"body": {"a": None}}
    assert client.post("/x", json={"b": None}).status_code == 400


@APPS
def test_arrays_and_numbers_in_the_query(kind: Any) -> None:
    parameters = [
        {"name": "ids", "in": "query", "schema": {"type": "array", "items": {"type": "integer"}}},
        {"name": "rate", "in": "query", "schema": {"type": "number"}},
    ]
    client = client_of(kind, {"/x": {"get": operation("x", *parameters)}})

    assert client.get("/x?ids=1&ids=2&rate=0.5").json() == {"ids": [1, 2], "rate": 0.5}
    assert client.get("/x?ids=a").status_code == 400


@APPS
def test_a_form_and_a_second_media_type(kind: Any) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    content = {
        "application/json": {"schema": schema},
        "application/x-www-form-urlencoded": {"schema": schema},
    }
    client = client_of(
        kind, {"/x": {"post": operation("x", requestBody={"required": True, "content": content})}}
    )

    assert client.post("/x", json={"a": 1}).json() == {"body": {"a": 1}}
    assert client.post("/x", data={"a": "1"}).json() == {"body": {"a": 1}}
    assert client.post("/x", content=b"a", headers={"Content-Type": "text/plain"}).status_code == 415


@APPS
def test_a_base_path(kind: Any) -> None:
    client = client_of(kind, {"/x": {"get": operation("x")}}, servers=[{"url": "/v1"}])

    assert client.get("/v1/x").status_code == 200
    assert client.get("/x").status_code == 404


@APPS
@pytest.mark.parametrize(("returned", "status"), [({"a": 1}, 200), (({"a": 1}, 201), 201)])
def test_a_handler_that_returns_a_dict_or_a_status(kind: Any, returned: Any, status: int) -> None:
    response = client_of(kind, {"/x": {"get": operation("x")}}, lambda: returned).get("/x")

    assert (response.json(), response.status_code) == ({"a": 1}, status)


@APPS
def test_the_requests_of_flask_and_connexion(kind: Any) -> None:
    client = client_of(
        kind,
        {"/x": {"get": operation("x")}},
        lambda: [flask.request.args["a"], connexion.request.query_params["a"]],
    )

    assert client.get("/x?a=1").json() == ["1", "1"]


@APPS
def test_flasks_hooks_routes_and_extensions(kind: Any) -> None:
    class Extension:
        """Counts requests, as a Flask extension would."""

        def __init__(self, app: flask.Flask) -> None:
            app.extensions["counter"] = self
            app.before_request(self.count)
            self.counted = 0

        def count(self) -> None:
            self.counted += 1

    app = kind(__name__)
    app.add_api(document({"/x": {"get": operation("x")}}), resolver=lambda _name: lambda: {"a": 1})
    extension = Extension(app.app)
    app.add_url_rule("/own", view_func=lambda: "own")
    app.app.after_request(lambda response: response.headers.add("Hook", "h") or response)
    client = app.test_client()

    assert (client.get("/x").headers["Hook"], client.get("/own").headers["Hook"]) == ("h", "h")
    assert extension.counted == 2


@pytest.mark.parametrize("status", [401, 409, 418, 429])
def test_any_status_may_be_sent(status: int) -> None:
    responses = {**OBJECT, str(status): {"description": "It failed."}}
    client = client_of(
        App, {"/x": {"get": operation("x") | {"responses": responses}}}, lambda: ({"a": 1}, status)
    )

    assert client.get("/x").status_code == status


MANY = 500
ROUNDS = 400
PATHS_OF_A_RESOURCE = 5


def large(count: int) -> dict[str, Any]:
    """Return the paths of a document with this many operations, ten for each resource."""
    body = json_body(
        type="object",
        properties={
            "name": {"type": "string", "maxLength": 80},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 9},
            "owner": {
                "type": "object",
                "properties": {"id": {"type": "integer", "minimum": 1}},
                "required": ["id"],
            },
        },
        required=["name"],
    )
    limit = {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "default": 10}}
    one = path_parameter("id", type="integer")
    paths: dict[str, Any] = {}
    for at in range(count // PATHS_OF_A_RESOURCE):
        paths[f"/resource{at}"] = {
            "get": operation(f"list{at}", limit),
            "post": operation(f"create{at}", requestBody=body),
        }
        paths[f"/resource{at}/{{id}}"] = {
            "get": operation(f"get{at}", one),
            "put": operation(f"put{at}", one, requestBody=body),
            "delete": operation(f"delete{at}", one),
        }
    return paths


def built(count: int) -> tuple[App, float]:
    """Return an application with this many operations, and the CPU seconds that building it took."""

    async def handle(**_arguments: Any) -> Any:
        return {"a": 1}

    began = process_time()
    app = App(__name__, resolver=lambda _name: handle)
    app.add_api(document(large(count)))
    app.build()
    return app, process_time() - began


def test_a_document_of_500_operations_starts_within_3_seconds() -> None:
    # In a separate process, without coverage.
    code = f"from {__name__} import MANY, built; print(built(MANY)[1])"
    seconds = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(2)
    ]

    assert min(seconds) < 3


async def cpu_seconds(app: App, resource: int) -> float:
    """Return the CPU time of a few hundred requests to one resource."""
    body = b'{"name": "a", "tags": ["b", "c"], "owner": {"id": 7}}'
    requests = [
        ("GET", f"/resource{resource}", b""),
        ("GET", f"/resource{resource}/7", b""),
        ("POST", f"/resource{resource}", body),
    ]
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    statuses: set[int] = set()

    async def send(message: Any) -> None:
        statuses.add(message.get("status", 200))

    began = process_time()
    for _ in range(ROUNDS):
        for method, path, content in requests:

            async def receive(content: bytes = content) -> Any:
                return {"type": "http.request", "body": content}

            scope = {
                "type": "http",
                "method": method,
                "path": path,
                "raw_path": path.encode(),
                "query_string": b"",
            }
            await app({**scope, "headers": headers if content else []}, receive, send)
    assert statuses == {200}
    return process_time() - began


def test_request_cost_does_not_depend_on_the_number_of_operations() -> None:
    small, large_one = built(10)[0], built(MANY)[0]

    async def measure() -> float:
        pairs = [
            (await cpu_seconds(small, 1), await cpu_seconds(large_one, MANY // PATHS_OF_A_RESOURCE - 1))
            for _ in range(7)
        ]
        return min(each for _, each in pairs) / min(each for each, _ in pairs)

    assert asyncio.run(measure()) < 1.5
