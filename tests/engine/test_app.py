"""`App` has the interface of Connexion's FlaskApp: options, middleware, error handlers, hooks and routes."""

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import flask
import pytest
import uvicorn
from connexion.datastructures import MediaTypeDict
from connexion.exceptions import InvalidSpecification, ProblemException
from connexion.lifecycle import ConnexionResponse
from connexion.middleware import ConnexionMiddleware, MiddlewarePosition
from connexion.middleware.request_validation import RequestValidationMiddleware
from connexion.middleware.security import SecurityMiddleware
from connexion.validators import JSONRequestBodyValidator, ParameterValidator
from werkzeug.exceptions import Conflict

from tests.engine.programs import document, json_body, operation, path_parameter, program
from users_api.engine.app import App
from users_api.engine.failures import DocumentError

LIMIT = {"name": "limit", "in": "query", "schema": {"type": "integer"}}


class RecordingMiddleware:
    """A middleware that records what it finds in the scope."""

    def __init__(self, app: Any, name: str, seen: list[Any]) -> None:
        self.app, self.name, self.seen = app, name, seen

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        routing = scope.get("extensions", {}).get("connexion_routing", {})
        self.seen.append((self.name, routing.get("operation_id")))
        await self.app(scope, receive, send)


def handle(limit: int | None = None) -> Any:
    """Return the argument."""
    return {"limit": limit}


def simple(**options: Any) -> App:
    """Return an application with one operation."""
    return program({"/x": {"get": operation("handle", LIMIT)}}, handle, **options)


def test_middleware_can_be_added_at_each_position_of_connexion() -> None:
    seen: list[Any] = []
    app = simple()
    for position in MiddlewarePosition:
        app.add_middleware(RecordingMiddleware, position, name=position.name, seen=seen)

    assert app.test_client().get("/x?limit=3").json() == {"limit": 3}
    assert seen == [
        ("BEFORE_EXCEPTION", None),
        ("BEFORE_SWAGGER", None),
        ("BEFORE_ROUTING", None),
        ("BEFORE_SECURITY", "handle"),
        ("BEFORE_VALIDATION", "handle"),
        ("BEFORE_CONTEXT", "handle"),
    ]


def test_middleware_does_not_change_error_responses() -> None:
    plain, staged = simple(), simple()
    staged.add_middleware(RecordingMiddleware, name="", seen=[])

    for method, path in (
        ("GET", "/x?limit=a"),
        ("PUT", "/x"),
        ("GET", "/nowhere"),
        ("GET", "/x?limit=1"),
        ("GET", "/ui/"),
    ):
        expected = plain.test_client().request(method, path)
        response = staged.test_client().request(method, path)
        assert (response.status_code, response.headers, response.content) == (
            expected.status_code,
            expected.headers,
            expected.content,
        )


def test_a_stack_without_validation_validates_nothing_before_the_call() -> None:
    middlewares = [
        each for each in ConnexionMiddleware.default_middlewares if each is not RequestValidationMiddleware
    ]
    app = simple(middlewares=middlewares)

    assert app.test_client().get("/x?limit=3").json() == {"limit": 3}
    with pytest.raises(
        ValueError,
        match="the stack has no RequestValidationMiddleware, so nothing can be added at BEFORE_VALIDATION",
    ):
        simple(middlewares=middlewares).add_middleware(
            RecordingMiddleware, MiddlewarePosition.BEFORE_VALIDATION, name="", seen=[]
        )


def test_registering_after_startup_raises() -> None:
    app = simple()
    app.build()

    for register in (
        lambda: app.add_api(document({})),
        lambda: app.add_error_handler(404, handle),
        lambda: app.add_middleware(RecordingMiddleware),
    ):
        with pytest.raises(RuntimeError, match="The application has already started"):
            register()


REFUSED = {"name": "limit", "in": "query", "schema": {"type": "string", "pattern": "("}}


def test_a_refused_document_is_refused_again() -> None:
    client = program({"/x": {"get": operation("handle", REFUSED)}}, handle).test_client()

    depths = set()
    for _ in range(3):
        with pytest.raises(DocumentError, match="pattern") as refused:
            client.get("/x")
        depths.add(len(refused.traceback))

    assert len(depths) <= 2, "each raise adds to the traceback"


def test_a_refused_document_ends_a_server_at_its_startup_with_one_line() -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    app = program({"/x": {"get": operation("handle", REFUSED)}}, handle)
    asyncio.run(app({"type": "lifespan"}, receive, send))

    (message,) = sent
    assert message["type"] == "lifespan.startup.failed"
    assert message["message"].startswith("#/paths/~1x/get/parameters/0/schema/pattern: ")
    assert "\n" not in message["message"]


def test_an_operation_without_an_operation_id_is_refused_by_that_name() -> None:
    with pytest.raises(DocumentError) as refused:
        program({"/x": {"get": {"responses": {"200": {"description": "Fine."}}}}}).build()

    assert str(refused.value) == "#/paths/~1x/get: there is no operationId; add one that names the handler"


@pytest.mark.parametrize("kind", [404, Exception])
def test_flasks_error_handler_sees_unknown_paths(kind: Any) -> None:
    app = simple()
    app.app.register_error_handler(kind, lambda error: ({"by": "flask", "code": error.code}, 404))

    response = app.test_client().get("/nowhere")

    assert (response.status_code, response.json()) == (404, {"by": "flask", "code": 404})


def test_an_unknown_option_is_rejected() -> None:
    with pytest.raises(TypeError, match="App\\(\\) has no option strict"):
        App(__name__, strict=True)


def test_a_relative_document_path_is_resolved_from_the_program(tmp_path: Path) -> None:
    (tmp_path / "api.yaml").write_text(json.dumps(document({"/x": {"get": operation("handle", LIMIT)}})))
    app = App(__name__, specification_dir=tmp_path, resolver=lambda _name: handle)
    app.add_api("api.yaml")

    assert app.test_client().get("/x").json() == {"limit": None}
    assert app.extra_files == [str(tmp_path / "api.yaml")]


def test_a_document_is_loaded_from_a_url() -> None:
    with pytest.raises((OSError, DocumentError)):
        App(__name__).add_api("http://127.0.0.1:9/openapi.yaml")


def test_apis_have_base_paths_and_options_of_their_own() -> None:
    app = App(__name__, resolver=lambda _name: handle)
    app.add_api(document({"/x": {"get": operation("handle", LIMIT)}}), base_path="/one")
    app.add_api(
        document({"/x": {"get": operation("handle", LIMIT)}}), base_path="/two", strict_validation=True
    )
    client = app.test_client()

    assert client.get("/one/x?other=1").status_code == 200
    assert client.get("/two/x?other=1").status_code == 400
    assert client.get("/x").status_code == 404


def test_the_lifespan_runs_at_startup_and_shutdown() -> None:
    seen: list[Any] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> Any:
        seen.append(app)
        yield
        seen.append("end")

    app = simple(lifespan=lifespan)
    with app.test_client() as client:
        client.get("/x")

    assert seen == [app, "end"]


def raising(error: Exception, **options: Any) -> App:
    """Return an application whose only operation raises the exception."""

    def fail() -> Any:
        raise error

    return program({"/x": {"get": operation("fail")}}, fail, **options)


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        (ProblemException(status=409, title="Taken", detail="It is taken."), 409, "Taken"),
        (Conflict("It is taken."), 409, "Conflict"),
        (ZeroDivisionError("secret"), 500, "Internal Server Error"),
    ],
)
def test_an_exception_becomes_a_problem(error: Exception, status: int, title: str) -> None:
    response = raising(error).test_client().get("/x")

    assert (response.status_code, response.json()["title"]) == (status, title)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert "secret" not in response.text


def test_a_response_may_be_raised() -> None:
    response = raising(Conflict(response=flask.Response("taken", 409))).test_client().get("/x")

    assert (response.status_code, response.text) == (409, "taken")


@pytest.mark.parametrize("kind", ["plain", "async", "late"])
@pytest.mark.parametrize("key", [LookupError, Exception, Conflict, 409])
def test_a_program_handles_failures_by_class_or_status(kind: str, key: Any) -> None:
    def plain(request: Any, error: Exception) -> Any:
        return ConnexionResponse(418, body=f"{request.method} {type(error).__name__}", mimetype="text/plain")

    async def late(request: Any, error: Exception) -> Any:
        return plain(request, error)

    def later(request: Any, error: Exception) -> Any:
        return late(request, error)

    error = Conflict() if key in {Conflict, 409} else KeyError("k")
    app = raising(error)
    app.add_error_handler(key, {"plain": plain, "async": late, "late": later}[kind])
    response = app.test_client().get("/x")

    assert (response.status_code, response.headers["Content-Type"]) == (418, "text/plain; charset=utf-8")
    assert response.text == f"GET {'HTTPException' if key == 409 else type(error).__name__}"


def test_an_exception_in_an_error_handler_results_in_500(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_request: Any, _error: Exception) -> Any:
        message = "the handler"
        raise RuntimeError(message)

    app = raising(KeyError("k"))
    app.add_error_handler(KeyError, fail)
    app.add_error_handler(Exception, fail)

    with caplog.at_level(logging.ERROR):
        assert app.test_client().get("/x").status_code == 500
    assert "RuntimeError: the handler" in caplog.text


def test_flask_hooks_see_every_request_and_may_respond() -> None:
    app = program(
        {
            "/x/{name}": {
                "post": operation("greet", path_parameter("name"), requestBody=json_body(type="object"))
            }
        },
        greet,
        greet_async,
    )
    app.app.before_request(lambda: ("closed", 503) if flask.request.headers.get("Closed") else None)
    app.app.after_request(stamp)
    client = app.test_client()

    served, refused = (
        client.post("/x/ada", json={"a": 1}),
        client.post("/x/ada", json={}, headers={"Closed": "1"}),
    )

    assert (served.json(), served.headers["Stamp"]) == (
        {"name": "ada", "body": {"a": 1}, "rule": "/x/<name>"},
        "yes",
    )
    assert (refused.status_code, refused.text) == (503, "closed")


def greet(name: str, body: Any) -> Any:
    """Return the arguments."""
    return {"name": name, "body": body, "rule": str(flask.request.url_rule)}


async def greet_async() -> Any:
    """Return a word."""
    return {"hello": "there"}


def stamp(response: flask.Response) -> flask.Response:
    """Mark the response."""
    response.headers["Stamp"] = "yes"
    return response


def test_coroutine_functions_work_behind_flask_too() -> None:
    app = program({"/x": {"get": operation("greet_async")}}, greet_async)
    app.app.after_request(stamp)

    response = app.test_client().get("/x")

    assert (response.json(), response.headers["Stamp"]) == ({"hello": "there"}, "yes")


def test_wsgi_middleware_sees_every_request() -> None:
    class Upper:
        def __init__(self, application: Any, header: str) -> None:
            self.application, self.header = application, header

        def __call__(self, environ: Any, start_response: Any) -> Any:
            def start(status: str, headers: Any, exc_info: Any = None) -> Any:
                return start_response(status, [*headers, (self.header, "seen")], exc_info)

            return self.application(environ, start)

    app = simple()
    app.add_wsgi_middleware(Upper, header="Upper")
    response = app.test_client().get("/x?limit=1")

    assert (response.json(), response.headers["Upper"]) == ({"limit": 1}, "seen")


@pytest.mark.parametrize("staged", [False, True])
def test_flask_routes_are_served_in_addition_to_the_document(staged: bool) -> None:  # noqa: FBT001 -- a parameter of the test.
    app = simple()

    @app.route("/plain/<name>", methods=["POST"])
    def plain(name: str) -> str:
        return f"{name} {flask.request.get_data(as_text=True)}"

    app.add_url_rule("/stream", view_func=lambda: flask.Response(iter(["a", "b"])))
    blueprint = flask.Blueprint("more", __name__, url_prefix="/more")
    blueprint.add_url_rule("/page", view_func=lambda: "a page")
    app.app.register_blueprint(blueprint)
    if staged:
        app.add_middleware(RecordingMiddleware, name="", seen=[])
    client = app.test_client()

    assert client.post("/plain/ada", content="body").text == "ada body"
    assert client.get("/plain/ada").status_code == 405
    assert client.get("/stream").text == "ab"
    assert client.get("/more/page").text == "a page"
    assert client.get("/nothing").status_code == 404
    assert client.get("/x").json() == {"limit": None}


def test_auth_all_paths_applies_to_unknown_paths() -> None:
    paths = {"/x": {"get": operation("handle", LIMIT)}}
    scheme = {"type": "apiKey", "in": "header", "name": "Key", "x-apikeyInfoFunc": f"{__name__}.check_key"}
    more = {"security": [{"key": []}], "components": {"securitySchemes": {"key": scheme}}}
    app = program(paths, handle, more=more, auth_all_paths=True)
    client = app.test_client()

    assert client.get("/nowhere").status_code == 401
    assert client.get("/nowhere", headers={"Key": "key"}).status_code == 404
    assert client.get("/x").status_code == 401
    assert client.get("/x", headers={"Key": "key"}).json() == {"limit": None}


def check_key(apikey: str, required_scopes: Any = None) -> Any:
    """Return the owner of the key."""
    return {"sub": "ada"} if apikey == "key" else None


def test_run_serves_with_uvicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []
    monkeypatch.setattr(uvicorn, "run", lambda app, **options: served.append((app, options)))
    app = simple()

    app.run(port=8080)
    app.run("main:app")

    assert served == [(app, {"port": 8080}), ("main:app", {"reload": True, "reload_includes": []})]


def test_connexions_stack_may_be_wrapped() -> None:
    class Prefixed:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            scope["root_path"], scope["path"] = "/behind", "/behind" + scope["path"]
            await self.app(scope, receive, send)

    app = simple()
    app.middleware = Prefixed(app.middleware)

    assert app.test_client().get("/x?limit=3").json() == {"limit": 3}


def test_an_error_after_the_response_started_sends_no_second_response() -> None:
    def broken() -> Any:
        yield b"a"
        message = "the stream broke"
        raise RuntimeError(message)

    app = simple()
    app.add_url_rule("/stream", view_func=lambda: flask.Response(broken()))
    app.add_middleware(RecordingMiddleware, name="", seen=[])

    with pytest.raises(RuntimeError, match="the stream broke"):
        app.test_client().get("/stream")


def test_trailing_slash_redirects_work_with_middleware() -> None:
    app = simple()
    app.add_middleware(RecordingMiddleware, name="", seen=[])

    assert app.test_client().get("/x/?limit=3").json() == {"limit": 3}


def test_document_error_is_an_invalid_specification() -> None:
    with pytest.raises(InvalidSpecification, match=r"#: Swagger 2.0 is not supported"):
        App(__name__).add_api({"swagger": "2.0"})


class RejectingValidator(JSONRequestBodyValidator):
    """Rejects a word that the document allows, and accepts everything else."""

    def _validate(self, body: Any) -> None:
        if body == {"a": "refused"}:
            raise ProblemException(status=400, title="Bad Request")


@pytest.mark.parametrize("staged", [False, True])
def test_a_programs_own_validator_replaces_the_engines(staged: bool) -> None:  # noqa: FBT001 -- a parameter of the test.
    paths = {
        "/x": {
            "post": operation(
                "echo", requestBody=json_body(type="object", properties={"a": {"type": "string"}})
            )
        }
    }
    app = program(paths, echo, validator_map={"body": {"application/json": RejectingValidator}})
    if staged:
        app.add_middleware(RecordingMiddleware, name="", seen=[])
    client = app.test_client()

    assert client.post("/x", json={"a": 1}).json() == {"a": 1}
    assert client.post("/x", json={"a": "refused"}).status_code == 400


def test_connexions_default_validators_are_replaced_by_the_engine() -> None:
    paths = {"/x": {"post": operation("echo", requestBody=json_body(type="string", format="date"))}}
    stock = {
        "parameter": ParameterValidator,
        "body": MediaTypeDict({"*/*json": JSONRequestBodyValidator}),
        "response": {},
    }
    client = program(paths, echo, validator_map=stock, validate_responses=True).test_client()

    assert client.post("/x", json="2026-01-01").json() == "2026-01-01"
    assert client.post("/x", json="soon").status_code == 400


def echo(body: Any) -> Any:
    """Return the body."""
    return body


def test_without_the_security_middleware_nothing_is_secured() -> None:
    scheme = {"type": "apiKey", "in": "query", "name": "key"}
    more = {"security": [{"key": []}], "components": {"securitySchemes": {"key": scheme}}}
    middlewares = [each for each in ConnexionMiddleware.default_middlewares if each is not SecurityMiddleware]
    paths = {"/x": {"get": operation("handle", LIMIT)}}
    app = program(
        paths, handle, more=more, middlewares=middlewares, auth_all_paths=True, strict_validation=True
    )

    assert app.test_client().get("/x?key=anything").json() == {"limit": None}


@pytest.mark.parametrize("staged", [False, True])
def test_a_client_that_disconnects_gets_nothing(staged: bool) -> None:  # noqa: FBT001 -- a parameter of the test.
    app = program({"/x": {"post": operation("echo", requestBody=json_body())}}, echo)
    if staged:
        app.add_middleware(RecordingMiddleware, name="", seen=[])
    send = AsyncMock()

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    headers = [(b"content-type", b"application/json"), (b"content-length", b"9")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/x",
        "raw_path": b"/x",
        "query_string": b"",
        "headers": headers,
    }
    asyncio.run(app(scope, receive, send))

    send.assert_not_called()


def test_auth_all_paths_is_limited_to_the_base_path() -> None:
    paths = {"/x": {"get": operation("handle", LIMIT)}}
    scheme = {"type": "apiKey", "in": "header", "name": "Key", "x-apikeyInfoFunc": f"{__name__}.check_key"}
    more = {
        "security": [{"key": []}],
        "components": {"securitySchemes": {"key": scheme}},
        "servers": [{"url": "/v1"}],
    }
    app = program(paths, handle, more=more, auth_all_paths=True)
    app.add_middleware(RecordingMiddleware, name="", seen=[])
    client = app.test_client()

    assert client.get("/v1/x").status_code == 401
    assert client.get("/v1/nowhere").status_code == 401
    assert client.get("/nowhere").status_code == 404
    assert client.get("/v1/x", headers={"Key": "key"}).json() == {"limit": None}


def test_build_is_idempotent() -> None:
    app = simple()

    assert app.build() is app.build()


def test_a_trace_operation_with_a_body_is_rejected_at_startup() -> None:
    app = program({"/x": {"trace": operation("echo", requestBody=json_body())}}, echo)

    with pytest.raises(
        DocumentError, match="#/paths/~1x/trace/requestBody: TRACE must not have a body; remove it"
    ):
        app.build()
