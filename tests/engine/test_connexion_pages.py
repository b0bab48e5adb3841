"""One program per page of Connexion's documentation, built twice: only the class of the application differs.

Both get the same requests. Their statuses, bodies and headers are equal, except for what `DEVIATIONS` lists.
"""

import io
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import connexion
import flask
import pytest
from connexion import ConnexionMiddleware, FlaskApp, ProblemException
from connexion.context import context as current_context
from connexion.context import operation as current_operation
from connexion.context import scope as current_scope
from connexion.datastructures import NoContent
from connexion.exceptions import OAuthProblem
from connexion.jsonifier import Jsonifier
from connexion.lifecycle import ConnexionRequest, ConnexionResponse
from connexion.middleware import MiddlewarePosition
from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.middleware.security import SecurityMiddleware
from connexion.mock import MockResolver
from connexion.options import SwaggerUIOptions
from connexion.problem import problem
from connexion.resolver import MethodResolver, MethodViewResolver, RelativeResolver, RestyResolver
from connexion.security import AbstractSecurityHandler
from connexion.validators import (
    DefaultsJSONRequestBodyValidator,
    JSONResponseBodyValidator,
    ParameterValidator,
)
from starlette.middleware.cors import CORSMiddleware

from tests.engine.programs import OBJECT, document, json_body, operation, path_parameter
from users_api.engine import App

HEADERS = (
    "content-type",
    "location",
    "allow",
    "www-authenticate",
    "set-cookie",
    "stamp",
    "access-control-allow-origin",
)
NO_BODY = "a response of status 204 has no Content-Type (RFC 9110, 8.3)"
DEVIATIONS = {  # The reason why the engine's response differs, by page and request.
    "quickstart: GET /v2/openapi.json": (
        "the document is shown as it was written, without an empty `components`"
    ),
    "routing by operation ids: GET /c/double/1e5": "1e5 is a number in JSON, and so it is in a path",
    "request: GET /everything": "an object that was not sent is absent, not empty",
    "request: GET /everything?where[age]=4": "a function that takes all arguments gets headers, too",
    "response: GET /json/nothing": NO_BODY,
    "response: GET /json/no content": NO_BODY,
    "response: GET /text/nothing": NO_BODY,
    "response: GET /none/nothing": NO_BODY,
    "response: GET /json/connexion": "the mimetype of a ConnexionResponse is its Content-Type",
}
TEXT = {"200": {"description": "A text.", "content": {"text/plain": {"schema": {"type": "string"}}}}}

Build = Callable[[Any], Any]


class Request(NamedTuple):
    """A request that is sent to both applications."""

    method: str
    path: str
    options: Mapping[str, Any] = {}


def get(path: str, **options: Any) -> Request:
    """Return a GET request."""
    return Request("GET", path, options)


def post(path: str, **options: Any) -> Request:
    """Return a POST request."""
    return Request("POST", path, options)


def op(function: Callable[..., Any], *parameters: Any, **more: Any) -> dict[str, Any]:
    """Return an operation whose operationId names a function of this module."""
    return operation(f"{__name__}.{function.__name__}", *parameters, **more)


def query(name: str, **schema: Any) -> dict[str, Any]:
    """Return an optional query parameter."""
    return {"name": name, "in": "query", "schema": schema}


def outcome(client: Any, request: Request) -> dict[str, Any]:
    """Return what a client can observe, without the detail of a problem."""
    response = client.request(request.method, request.path, **request.options)
    body: Any = response.text
    if "json" in response.headers.get("content-type", "") and body:
        body = response.json()
    if response.status_code >= 400 and isinstance(body, dict):
        body.pop("detail", None)
    headers = {
        name: sorted(response.headers[name].split(", ")) for name in HEADERS if name in response.headers
    }
    return {"status": response.status_code, "body": body, **headers}


def assert_same_outcomes(page: str, build: Build, *requests: Request) -> list[dict[str, Any]]:
    """Require equal outcomes from both, except for listed deviations; return the engine's outcomes."""
    stock, ours = (build(kind).test_client(follow_redirects=False) for kind in (FlaskApp, App))
    outcomes = [
        (f"{page}: {each.method} {each.path}", outcome(stock, each), outcome(ours, each)) for each in requests
    ]
    differences = {name: (theirs, own) for name, theirs, own in outcomes if theirs != own}
    assert {name: each for name, each in differences.items() if name not in DEVIATIONS} == {}
    assert differences.keys() == {name for name in DEVIATIONS if name.startswith(f"{page}: ")}
    return [own for _, _, own in outcomes]


def greet(name: str) -> Any:
    """Return a text and a status."""
    return f"Hello {name}", 200


def number(value: Any) -> Any:
    """Return the argument and its type."""
    return {"value": value, "type": type(value).__name__}


def test_quickstart() -> None:
    def build(kind: Any) -> Any:
        app = kind(__name__, swagger_ui_options=SwaggerUIOptions(swagger_ui_path="/docs"))
        paths = {"/greeting/{name}": {"post": op(greet, path_parameter("name"), responses=TEXT)}}
        app.add_api(document(paths), base_path="/v1")
        app.add_api(document(paths, servers=[{"url": "https://example.org/v2/"}]), strict_validation=True)

        @app.route("/plain")
        def plain() -> str:
            return "plain"

        app.add_url_rule("/other", "other", lambda: "other", methods=["POST"])
        return app

    first, *_ = assert_same_outcomes(
        "quickstart",
        build,
        post("/v1/greeting/ada"),
        post("/v2/greeting/ada%20b"),
        post("/v1/greeting/ada?x=1"),
        post("/v2/greeting/ada?x=1"),
        get("/v1/greeting/ada"),
        post("/v1/greeting/ada/?x=1"),
        get("/plain"),
        post("/other"),
        get("/other"),
        get("/v1/nowhere"),
        get("/v2/openapi.json"),
    )

    assert first == {"status": 200, "body": "Hello ada", "content-type": ["text/plain; charset=utf-8"]}


def test_routing_by_operation_ids() -> None:
    def build(kind: Any) -> Any:
        app = kind(__name__)
        relative = {"operationId": "greet", "parameters": [path_parameter("name")], "responses": TEXT}
        paths = {
            "/controller/{name}": {"post": {**relative, "x-openapi-router-controller": __name__}},
            "/int/{value}": {"get": op(number, path_parameter("value", type="integer"))},
        }
        app.add_api(document(paths), base_path="/a")
        app.add_api(
            document({"/relative/{name}": {"get": relative}}),
            base_path="/b",
            resolver=RelativeResolver(__name__),
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


def everything(**arguments: Any) -> Any:
    """Return all arguments."""
    return arguments


def pythonic(filter_: str, filter_option: str | None = None) -> Any:
    """Return the arguments."""
    return {"filter": filter_, "option": filter_option}


def optional(message: str | None = None, limit: int = 5) -> Any:
    """Return the arguments."""
    return {"message": message, "limit": limit}


def payload(payload: Any) -> Any:
    """Return the body."""
    return payload


def upload(name: str | None = None, photo: Any = None, pages: Any = (), body: Any = None) -> Any:
    """Return the received fields and files (werkzeug's)."""
    return {
        "name": name,
        "photo": photo and [photo.filename, photo.read().decode(), photo.content_type],
        "pages": [page.read().decode() for page in pages],
        "body": body,
    }


def look() -> Any:
    """Return the attributes of `connexion.request`."""
    return {
        "method": connexion.request.method,
        "path": connexion.request.url.path,
        "query": dict(connexion.request.query_params),
        "agent": connexion.request.headers["user-agent"],
        "cookies": dict(connexion.request.cookies),
        "type": connexion.request.mimetype,
    }


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Stock leaves the files open.
def test_request() -> None:
    form = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "photo": {"type": "string", "format": "binary"},
            "pages": {"type": "array", "items": {"type": "string", "format": "binary"}},
        },
    }
    many = [
        query("top", type="integer", default=3),
        query("$select", type="string"),
        query("ids", type="array", items={"type": "integer"}),
        query("flag", type="boolean"),
        {
            "name": "tags",
            "in": "query",
            "style": "pipeDelimited",
            "explode": False,
            "schema": {"type": "array", "items": {"type": "string"}},
        },
        {
            "name": "where",
            "in": "query",
            "style": "deepObject",
            "explode": True,
            "schema": {"type": "object", "properties": {"age": {"type": "integer"}}},
        },
        {"name": "X-Tag", "in": "header", "schema": {"type": "string"}},
    ]

    def build(kind: Any) -> Any:
        app = kind(__name__)
        paths = {
            "/everything": {"get": op(everything, *many)},
            "/optional": {
                "get": op(optional, query("message", type="string"), query("limit", type="integer"))
            },
            "/payload": {
                "post": op(payload, requestBody={**json_body(type="object"), "x-body-name": "payload"})
            },
            "/upload": {
                "post": op(upload, requestBody={"content": {"multipart/form-data": {"schema": form}}})
            },
            "/look": {"get": op(look)},
        }
        app.add_api(document(paths))
        options = [{**query("filter", type="string"), "required": True}, query("FilterOption", type="string")]
        app.add_api(
            document({"/pythonic": {"get": op(pythonic, *options)}}), base_path="/p", pythonic_params=True
        )
        return app

    files = [
        ("photo", ("a.png", io.BytesIO(b"png"), "image/png")),
        ("pages", ("1.txt", io.BytesIO(b"one"), "text/plain")),
        ("pages", ("2.txt", io.BytesIO(b"two"), "text/plain")),
    ]
    contents = [(name, (file, content.getvalue(), kind)) for name, (file, content, kind) in files]
    assert_same_outcomes(
        "request",
        build,
        get("/everything"),
        get("/everything?top=7&$select=a&ids=1&ids=2&flag=true&tags=a|b&where[age]=3"),
        get("/everything?where[age]=4", headers={"X-Tag": "t"}),
        get("/everything?top=x"),
        get("/everything?ids=a"),
        get("/optional?message=hi"),
        get("/optional?limit=2"),
        post("/payload", json={"a": [1, None, "é"]}),
        post("/payload", json=[1]),
        post("/payload", content=b"{", headers={"Content-Type": "application/json"}),
        post("/payload", content=b"<a/>", headers={"Content-Type": "text/xml"}),
        post("/payload"),
        post("/upload", data={"name": "ada"}, files=contents),
        get("/look?a=1", headers={"Cookie": "b=2"}),
        get("/p/pythonic?filter=a&FilterOption=b"),
        get("/p/pythonic?FilterOption=b"),
    )


RESULTS: dict[str, Callable[[], Any]] = {
    "dict": lambda: {"a": 1},
    "list": lambda: [1, "é"],
    "text": lambda: "a text",
    "number": lambda: 7,
    "status": lambda: ({"a": 1}, 201),
    "headers": lambda: ({"a": 1}, {"Stamp": "s"}),
    "both": lambda: ({"a": 1}, 202, {"Stamp": "s"}),
    "nothing": lambda: None,
    "no content": lambda: NoContent,
    "no content 201": lambda: (NoContent, 201),
    "flask": lambda: flask.Response("<p>", status=203, mimetype="text/html"),
    "jsonify": lambda: flask.jsonify(a=1),
    "redirect": lambda: flask.redirect("/elsewhere"),
    "connexion": lambda: ConnexionResponse(
        status_code=206, body="x", mimetype="text/plain", headers={"Stamp": "s"}
    ),
    "problem": lambda: problem(409, "Taken", "It is taken.", ext={"by": "ada"}),
    "generator": lambda: flask.Response(iter(["a", "b"]), mimetype="text/plain"),
    "stream": lambda: flask.Response(flask.stream_with_context(flask.request.args[name] for name in "ab")),
}


def result(name: str) -> Any:
    """Return the result with this name."""
    return RESULTS[name]()


class Doubled(Jsonifier):
    """Writes JSON twice."""

    def dumps(self, data: Any, **options: Any) -> str:
        """Return the text of a pair."""
        return str(super().dumps([data, data], **options))


def test_response() -> None:
    def build(kind: Any) -> Any:
        app = kind(__name__)
        name = path_parameter("name")
        several = {"200": {"description": "", "content": {"application/json": {}, "text/plain": {}}}}
        app.add_api(
            document(
                {
                    "/json/{name}": {"get": op(result, name)},
                    "/text/{name}": {
                        "get": {**op(result, name, responses=TEXT), "operationId": f"{__name__}.RESULTS_text"}
                    },
                    "/several/{name}": {
                        "get": {**op(result, name, responses=several), "operationId": f"{__name__}.several"}
                    },
                    "/none/{name}": {
                        "get": {
                            **op(result, name, responses={"200": {"description": ""}}),
                            "operationId": f"{__name__}.none",
                        }
                    },
                }
            ),
            resolver=lambda _name: result,
        )
        app.add_api(
            document({"/{name}": {"get": op(result, name)}}),
            base_path="/twice",
            jsonifier=Doubled(flask.json, indent=2),
        )
        return app

    assert_same_outcomes(
        "response",
        build,
        *(get(f"/json/{name}") for name in RESULTS if name != "stream"),
        get("/json/stream?a=1&b=2"),
        *(get(f"/text/{name}") for name in ("text", "nothing", "flask")),
        *(get(f"/several/{name}") for name in ("dict", "flask")),
        *(get(f"/none/{name}") for name in ("dict", "text", "nothing")),
        get("/twice/dict"),
    )


def check_basic(username: str, password: str, required_scopes: Any = None) -> Any:
    """Return who it is."""
    return {"sub": username} if password == "secret" else None  # noqa: S105 -- it protects nothing.


def check_bearer(token: str) -> Any:
    """Return the client's identity; a broken token raises a problem."""
    if token == "broken":  # noqa: S105
        raise OAuthProblem(detail="It is broken.")
    return {"uid": token} if token != "unknown" else None  # noqa: S105


async def check_key(apikey: str, request: ConnexionRequest) -> Any:
    """Return who it is."""
    return {"sub": f"{apikey} {request.method}"} if apikey == "key" else None


def check_token(token: str) -> Any:
    """Return the client's identity and scopes."""
    return {"sub": "ada", "scope": token.replace("+", " ")}


def who(user: str | None = None, token_info: Any = None) -> Any:
    """Return the client's identity from three sources."""
    return {"user": user, "info": token_info, "context": dict(current_context)}


class Digest(AbstractSecurityHandler):
    """Handles a scheme that Connexion does not support."""

    security_definition_key = "x-digestInfoFunc"
    environ_key = "DIGESTINFO_FUNC"

    def _get_verify_func(self, info: Callable[..., Any]) -> Callable[..., Any]:
        def verify(request: ConnexionRequest) -> Any:
            given = request.headers.get("authorization", "")
            if not given.startswith("Digest "):
                raise OAuthProblem(detail="There is no digest.")
            return info(given.removeprefix("Digest "))

        return verify


def test_security() -> None:
    flows = {"password": {"tokenUrl": "https://example.org/token", "scopes": {"read": "", "write": ""}}}
    schemes = {
        "basic": {"type": "http", "scheme": "basic", "x-basicInfoFunc": f"{__name__}.check_basic"},
        "bearer": {"type": "http", "scheme": "bearer", "x-bearerInfoFunc": f"{__name__}.check_bearer"},
        "header": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Key",
            "x-apikeyInfoFunc": f"{__name__}.check_key",
        },
        "query": {
            "type": "apiKey",
            "in": "query",
            "name": "key",
            "x-apikeyInfoFunc": f"{__name__}.check_key",
        },
        "oauth": {"type": "oauth2", "flows": flows, "x-tokenInfoFunc": f"{__name__}.check_token"},
        "digest": {"type": "http", "scheme": "digest", "x-digestInfoFunc": f"{__name__}.check_bearer"},
    }
    requirements = {
        "basic": [{"basic": []}],
        "bearer": [{"bearer": []}],
        "header": [{"header": []}],
        "query": [{"query": []}],
        "oauth": [{"oauth": ["read", "write"]}],
        "digest": [{"digest": []}],
        "or": [{"basic": []}, {"header": []}],
        "and": [{"basic": [], "query": []}],
        "optional": [{}, {"basic": []}],
        "open": [],
    }

    def build(kind: Any) -> Any:
        app = kind(__name__, strict_validation=True)
        paths = {
            f"/{name}": {"get": {**op(who, security=security), "operationId": name}}
            for name, security in requirements.items()
        }
        paths["/global"] = {"get": {**op(who), "operationId": "global"}}
        app.add_api(
            document(paths, components={"securitySchemes": schemes}, security=[{"bearer": []}]),
            resolver=lambda _name: who,
            security_map={"digest": Digest},
        )
        return app

    headers = [
        {},
        {"Authorization": "Basic YWRhOnNlY3JldA=="},
        {"Authorization": "Basic YWRhOndyb25n"},
        {"Authorization": "Basic !"},
        {"Authorization": "Bearer ada"},
        {"Authorization": "Bearer unknown"},
        {"Authorization": "Bearer broken"},
        {"Authorization": "Bearer read+write"},
        {"Authorization": "Digest ada"},
        {"X-Key": "key"},
        {"X-Key": "other"},
    ]
    assert_same_outcomes(
        "security",
        build,
        *(get(f"/{name}", headers=each) for name in [*requirements, "global"] for each in headers),
        get("/query?key=key"),
        get("/query?key=other"),
        get("/and?key=key", headers={"Authorization": "Basic YWRhOnNlY3JldA=="}),
    )


def measured(body: Any, count: int | None = None) -> Any:
    """Return the arguments."""
    return {"count": count, "body": body}


def wrong(kind: str) -> Any:
    """Return a valid or an invalid response."""
    return {"right": {"a": 1}, "wrong": {"a": "x"}, "header": ({"a": 1}, 200, {"Stamp": "s"})}[kind]


class OnlyEven(ParameterValidator):
    """Accepts even numbers only."""

    def validate(self, scope: Any) -> None:
        """Check the query parameter `count`."""
        super().validate(scope)
        if b"count=3" in scope["query_string"]:
            raise ProblemException(status=400, title="Bad Request")


class NoSecrets(JSONResponseBodyValidator):
    """Rejects a word."""

    def _validate(self, body: Any) -> Any:
        if "secret" in str(body):
            raise ProblemException(status=500, title="Secret")


def test_validation() -> None:
    count = query("count", type="integer", minimum=1, maximum=9)
    tag = {"name": "X-Tag", "in": "header", "required": True, "schema": {"type": "string", "minLength": 2}}
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "colour": {"type": "string", "default": "red"}},
        "required": ["name"],
    }
    conforming = {
        "200": {
            "description": "",
            "content": {
                "application/json": {"schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}
            },
            "headers": {"Stamp": {"required": True, "schema": {"type": "string"}}},
        }
    }
    defaults = {"body": {"application/json": DefaultsJSONRequestBodyValidator}, "parameter": OnlyEven}

    def build(kind: Any) -> Any:
        app = kind(__name__)

        def paths() -> dict[str, Any]:
            return deepcopy(
                {
                    "/measured": {"post": op(measured, count, tag, requestBody=json_body(**schema))},
                    "/wrong/{kind}": {"get": op(wrong, path_parameter("kind"), responses=conforming)},
                }
            )

        app.add_api(document(paths()), base_path="/plain")
        app.add_api(document(paths()), base_path="/strict", strict_validation=True, validate_responses=True)
        app.add_api(document(paths()), base_path="/defaults", validator_map=defaults)
        app.add_api(document(paths()), base_path="/off", validator_map={"body": {}})
        app.add_api(
            document({"/say": {"post": op(payload, requestBody={**json_body(), "x-body-name": "payload"})}}),
            base_path="/secrets",
            validate_responses=True,
            validator_map={"response": {"application/json": NoSecrets}},
        )
        return app

    tagged = {"headers": {"X-Tag": "ab"}}
    assert_same_outcomes(
        "validation",
        build,
        *(
            post(f"/{name}/measured{text}", json=body, **tagged)
            for name in ("plain", "strict", "defaults", "off")
            for text, body in [
                ("", {"name": "a"}),
                ("?count=2", {"name": "a", "colour": "blue"}),
                ("?count=3", {"name": "a"}),
                ("?count=0", {"name": "a"}),
                ("?count=10", {"name": "a"}),
                ("?other=1", {"name": "a"}),
                ("", {}),
                ("", {"name": 1}),
            ]
        ),
        post("/plain/measured", json={"name": "a"}),
        post("/plain/measured", json={"name": "a"}, headers={"X-Tag": "a"}),
        *(
            get(f"/{name}/wrong/{kind}")
            for name in ("plain", "strict")
            for kind in ("right", "wrong", "header")
        ),
        post("/secrets/say", json={"a": "public"}),
        post("/secrets/say", json={"a": "secret"}),
    )


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


class TeapotError(Exception):
    """An exception of the program."""


def fail(kind: str) -> Any:
    """Raise the exception of this kind."""
    failures: dict[str, Callable[[], Any]] = {
        "teapot": lambda: (_ for _ in ()).throw(TeapotError("t")),
        "lookup": lambda: {}["x"],
        "problem": lambda: (_ for _ in ()).throw(ProblemException(status=402, title="Pay", ext={"price": 3})),
        "abort": lambda: flask.abort(410),
        "missing": lambda: flask.abort(404),
        "other": lambda: 1 / 0,
    }
    return failures[kind]()


def test_exceptions() -> None:
    def teapot(request: ConnexionRequest, error: Exception) -> ConnexionResponse:
        return ConnexionResponse(
            418, body=f"{request.method} {error}", mimetype="text/plain", headers={"Stamp": "t"}
        )

    async def missing(_request: ConnexionRequest, _error: Exception) -> ConnexionResponse:
        return problem(404, "Gone astray", "There is nothing here.")

    def build(kind: Any) -> Any:
        app = kind(__name__)
        app.add_api(document({"/fail/{kind}": {"get": op(fail, path_parameter("kind"))}}))
        app.add_error_handler(TeapotError, teapot)
        app.add_error_handler(LookupError, teapot)
        app.add_error_handler(404, missing)
        return app

    assert_same_outcomes(
        "exceptions",
        build,
        *(get(f"/fail/{kind}") for kind in ("teapot", "lookup", "problem", "abort", "missing")),
        get("/nowhere"),
        post("/fail/teapot"),
    )


def test_an_unexpected_exception_is_a_problem_of_status_500() -> None:
    def build(kind: Any) -> Any:
        app = kind(__name__)
        app.add_api(document({"/fail/{kind}": {"get": op(fail, path_parameter("kind"))}}))
        return app

    assert_same_outcomes("unexpected", build, get("/fail/other"), get("/fail/teapot"))


class CountedOperation:
    """An operation of the program's own middleware."""

    def __init__(self, app: Any, name: str) -> None:
        """Take the next application and the name to send."""
        self.app, self.name = app, name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Add the name to the response."""

        async def stamped(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"stamp", self.name.encode())]
            await send(message)

        await self.app(scope, receive, stamped)


class CountedAPI(RoutedAPI[CountedOperation]):
    """Creates an operation for each operation of the document."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Read the document."""
        super().__init__(*arguments, **options)
        self.label = options.get("label", "")
        self.add_paths()

    def make_operation(self, operation: Any) -> CountedOperation:
        """Return one for an operation of the document."""
        return CountedOperation(self.next_app, f"{self.label}{operation.method} {operation.path}")


class OperationHeaderMiddleware(RoutedMiddleware[CountedAPI]):
    """A middleware that is routed by operation."""

    api_cls = CountedAPI


def test_middleware() -> None:
    class Upper:
        """WSGI middleware that adds a header."""

        def __init__(self, app: Any, stamp: str) -> None:
            self.app, self.stamp = app, stamp

        def __call__(self, environ: Any, start_response: Any) -> Any:
            def start(status: Any, headers: Any, exc_info: Any = None) -> Any:
                return start_response(status, [*headers, ("Stamp", self.stamp)], exc_info)

            return self.app(environ, start)

    secured = {"components": {"securitySchemes": {"key": {"type": "apiKey", "in": "query", "name": "key"}}}}
    unsecured = [each for each in ConnexionMiddleware.default_middlewares if each is not SecurityMiddleware]

    def build_with(**options: Any) -> Build:
        def build(kind: Any) -> Any:
            app = kind(__name__, **options)
            name = path_parameter("name")
            paths = {
                "/greeting/{name}": {
                    "post": op(greet, name, responses=TEXT, security=[{"key": []}] if options else [])
                }
            }
            app.add_api(document(paths, **deepcopy(secured)), strict_validation=True, label="it is ")
            if options:
                app.add_wsgi_middleware(Upper, stamp="w")
            else:
                app.add_middleware(
                    CORSMiddleware, MiddlewarePosition.BEFORE_EXCEPTION, allow_origins=["http://a.example"]
                )
                app.add_middleware(OperationHeaderMiddleware)
            return app

        return build

    origin = {"headers": {"Origin": "http://a.example"}}
    found, *_ = assert_same_outcomes(
        "middleware",
        build_with(),
        post("/greeting/ada", **origin),
        post("/greeting/ada?x=1", **origin),
        get("/no", **origin),
    )
    assert found["stamp"] == ["it is post /greeting/{name}"]
    assert_same_outcomes("middleware", build_with(middlewares=unsecured), post("/greeting/ada?key=x"))


def test_mocks() -> None:
    content = {"application/json": {"schema": {"type": "object"}, "example": {"a": 1}}}

    def build(kind: Any) -> Any:
        app = kind(__name__)
        paths = {
            "/mock": {
                "get": {
                    "operationId": "absent.handler",
                    "responses": {"200": {"description": "", "content": content}},
                }
            },
            "/real/{name}": {"post": op(greet, path_parameter("name"), responses=TEXT)},
        }
        app.add_api(document(paths), resolver=MockResolver(mock_all=False))
        return app

    first, _ = assert_same_outcomes("mocks", build, get("/mock"), post("/real/ada"))

    assert first["body"] == {"a": 1}


@pytest.mark.parametrize("kind", [FlaskApp, App])
def test_a_custom_json_provider_is_used(kind: Any) -> None:
    class Shouting(flask.json.provider.DefaultJSONProvider):
        def dumps(self, obj: Any, **_options: Any) -> str:
            return super().dumps(obj).upper()

    app = kind(__name__)
    app.app.json = Shouting(app.app)
    app.add_api(document({"/x": {"get": op(everything)}}), resolver=lambda _name: lambda: {"a": "b"})

    assert app.test_client().get("/x").json() == {"A": "B"}
