"""How handlers are called: their arguments, where they run, and which proxies of Connexion and Flask work."""

import asyncio
import functools
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import connexion
import flask
import pytest
from connexion.context import context as current_context
from connexion.context import operation as current_operation
from connexion.exceptions import ResolverError
from starlette.responses import FileResponse

from tests.engine.programs import document, json_body, operation, path_parameter, program
from tests.support.credentials import KEY, check_key
from users_api.engine.app import App
from users_api.engine.calls import in_thread
from users_api.engine.failures import DocumentError
from users_api.engine.responses import Response

LIMIT = {"name": "limit", "in": "query", "schema": {"type": "integer", "default": 10}}
KIND = {"name": "kind", "in": "query", "schema": {"type": "string"}}
TAG = {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}}
ID = path_parameter("thingId", type="integer")


def serve(function: Callable[..., Any], *parameters: dict[str, Any], path: str = "/x", **options: Any) -> Any:
    """Return a client of an application with one GET operation, handled by the function."""
    return program({path: {"get": operation("handle", *parameters)}}, function, **options).test_client()


def test_a_handler_gets_the_arguments_in_its_signature() -> None:
    def handle(limit: int) -> Any:
        return {"limit": limit}

    assert serve(handle, LIMIT, KIND).get("/x?kind=a").json() == {"limit": 10}


def test_a_function_with_keywords_gets_all_arguments() -> None:
    def handle(**arguments: Any) -> Any:
        return arguments

    response = serve(handle, LIMIT, KIND, TAG).get("/x?kind=a", headers={"If-None-Match": "t"})

    assert response.json() == {"limit": 10, "kind": "a", "if_none_match": "t"}


@pytest.mark.parametrize(
    ("options", "given"), [({}, {"kind", "user", "token_info"}), ({"context_by_name": True}, {"kind"})]
)
def test_a_function_with_keywords_gets_the_context_unless_it_is_by_name(
    options: dict[str, bool], given: set[str]
) -> None:
    def handle(**arguments: Any) -> Any:
        return sorted(arguments)

    assert set(ask_with_key(handle, **options).json()) == given


def test_a_function_that_names_the_context_gets_it() -> None:
    def handle(user: str, kind: str, **others: Any) -> Any:
        return {"user": user, "kind": kind, "others": others}

    response = ask_with_key(handle, context_by_name=True)

    assert response.json() == {"user": "key", "kind": "a", "others": {}}


def ask_with_key(function: Callable[..., Any], **options: Any) -> Any:
    """Return the response to a request whose API key is checked."""
    name = f"{check_key.__module__}.{check_key.__name__}"
    scheme = {"type": "apiKey", "in": "header", "name": "X-Key", "x-apikeyInfoFunc": name}
    path = {"get": operation("handle", KIND, security=[{"key": []}])}
    more = {"components": {"securitySchemes": {"key": scheme}}}
    application = program({"/x": path}, function, more=more, **options)
    return application.test_client().get("/x?kind=a", headers={"X-Key": KEY})


def test_an_optional_parameter_that_is_not_sent_is_none_where_the_function_has_no_default() -> None:
    def handle(kind: str | None) -> Any:
        return {"kind": kind}

    assert serve(handle, KIND).get("/x").json() == {"kind": None}


def test_pythonic_params_converts_names() -> None:
    def handle(thing_id: int) -> Any:
        return {"id": thing_id}

    assert serve(handle, ID, path="/x/{thingId}", pythonic_params=True).get("/x/3").json() == {"id": 3}


def test_the_body_has_the_name_that_the_document_gives_it() -> None:
    def handle(thing: Any) -> Any:
        return thing

    body = json_body(type="object") | {"x-body-name": "thing"}
    client = program({"/x": {"post": operation("handle", requestBody=body)}}, handle).test_client()

    assert client.post("/x", json={"a": 1}).json() == {"a": 1}


def test_a_function_that_requires_what_the_operation_does_not_declare_is_refused_at_startup() -> None:
    def handle(limit: int, colour: str) -> Any: ...

    with pytest.raises(
        DocumentError,
        match=r"#/paths/~1x/get: the handler .*handle requires colour, which the operation does not declare",
    ):
        program({"/x": {"get": operation("handle", LIMIT)}}, handle).build()


def test_a_decorator_may_add_arguments_of_its_own() -> None:
    def coloured(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(**arguments: Any) -> Any:
            return function(colour="red", **arguments)

        return wrapper

    @coloured
    def handle(limit: int, colour: str) -> Any:
        return {"limit": limit, "colour": colour}

    assert serve(handle, LIMIT).get("/x").json() == {"limit": 10, "colour": "red"}


def test_a_decorator_may_make_a_coroutine_of_the_result() -> None:
    def later(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(**arguments: Any) -> Any:
            async def respond() -> Any:
                return function(**arguments)

            return respond()

        return wrapper

    @later
    def handle(limit: int) -> Any:
        return {"limit": limit}

    handle.__name__ = "handle"

    assert serve(handle, LIMIT).get("/x").json() == {"limit": 10}


def test_a_missing_function_is_refused_at_startup() -> None:
    app = program({"/x": {"get": operation("nothing")}})

    with pytest.raises(
        DocumentError, match="#/paths/~1x/get/operationId: there is no function nothing; write the function"
    ):
        app.build()
    with pytest.raises(ResolverError):
        app.build()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import nothing_like_this", "No module named 'nothing_like_this'"),
        ("from math import nothing", "cannot import name 'nothing' from 'math'"),
    ],
)
def test_an_import_that_fails_in_the_module_of_a_handler_is_located(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    module = f"handlers_{len(code)}"
    (tmp_path / f"{module}.py").write_text(f'"""Handlers."""\n\n{code}\n')
    monkeypatch.syspath_prepend(tmp_path)
    app = App(__name__)
    app.add_api(document({"/x": {"get": operation(f"{module}.handle")}}))

    with pytest.raises(DocumentError) as caught:
        app.build()

    assert str(caught.value).startswith(
        f"#/paths/~1x/get/operationId: {module}.handle cannot be imported: {module}, line 3: {reason}"
    )
    assert str(caught.value).endswith("; correct the import")


def test_a_missing_module_of_handlers_is_not_taken_for_a_failed_import() -> None:
    app = App(__name__)
    app.add_api(document({"/x": {"get": operation("nothing.like.this")}}))

    with pytest.raises(DocumentError, match="No module named 'nothing'\"; write the function"):
        app.build()


def test_resolver_error_sets_the_status_of_a_missing_handler() -> None:
    response = program({"/x": {"get": operation("nothing")}}, resolver_error=501).test_client().get("/x")

    assert (response.status_code, response.json()["title"]) == (501, "Not Implemented")


def test_plain_functions_run_in_threads_and_coroutine_functions_on_the_loop() -> None:
    def plain() -> Any:
        return {"thread": threading.current_thread() is not threading.main_thread(), "loop": has_loop()}

    async def coroutine() -> Any:
        await asyncio.sleep(0)
        return {"loop": has_loop()}

    client = program(
        {"/plain": {"get": operation("plain")}, "/async": {"get": operation("coroutine")}}, plain, coroutine
    ).test_client()

    assert client.get("/plain").json() == {"thread": True, "loop": False}
    assert client.get("/async").json() == {"loop": True}


def has_loop() -> bool:
    """Return whether an event loop runs in this thread."""
    try:
        return asyncio.get_running_loop() is not None
    except RuntimeError:
        return False


def test_run_plain_runs_plain_handlers_except_in_thread() -> None:
    ran: list[str] = []

    async def on_the_loop(function: Callable[[], Any]) -> Any:
        ran.append("here")
        return function()

    def plain() -> Any:
        return {"loop": has_loop()}

    @in_thread
    def marked() -> Any:
        return {"loop": has_loop()}

    paths = {"/plain": {"get": operation("plain")}, "/marked": {"get": operation("marked")}}
    client = program(paths, plain, marked, run_plain=on_the_loop).test_client()

    assert (client.get("/plain").json(), client.get("/marked").json()) == ({"loop": True}, {"loop": False})
    assert ran == ["here"]


def test_the_thread_pool_limits_concurrent_handlers() -> None:
    running, most = set[int](), [0]

    def handle() -> Any:
        running.add(threading.get_ident())
        most[0] = max(most[0], len(running))
        time.sleep(0.02)
        running.discard(threading.get_ident())
        return {}

    with serve(handle, threads=2) as client:
        callers = [threading.Thread(target=client.get, args=("/x",)) for _ in range(8)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()

    assert most == [2]


@pytest.mark.parametrize("reported", [False, True])
def test_a_call_that_blocks_the_loop_is_logged_with_its_operation(
    caplog: pytest.LogCaptureFixture, *, reported: bool
) -> None:
    async def handle() -> Any:
        time.sleep(0.12)  # noqa: ASYNC251 -- the test expects it to be logged.
        return {}

    blocked: list[str] = []
    with caplog.at_level(logging.WARNING):
        serve(handle, on_blocking=blocked.append if reported else None).get("/x")

    assert blocked == ["handle"] * reported
    (line,) = [line for line in caplog.messages if "blocked the event loop" in line]
    assert line.startswith("handle blocked the event loop for 1")


def test_an_exception_reaches_the_coroutine_that_waits() -> None:
    async def handle() -> Any:
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)
        except TimeoutError:
            return {"caught": True}

    assert serve(handle).get("/x").json() == {"caught": True}


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_connexions_and_flasks_proxies_work(kind: str) -> None:
    def look() -> Any:
        flask.g.seen = 1
        flask.session["visits"] = flask.session.get("visits", 0) + 1
        return {
            "request": connexion.request.method,
            "operation": current_operation.operation_id,
            "context": dict(current_context),
            "agent": flask.request.headers["User-Agent"],
            "form": flask.request.get_json()["a"],
            "rule": str(flask.request.url_rule),
            "arguments": flask.request.view_args,
            "url": flask.url_for("/.handle", thingId=4),
            "visits": flask.session["visits"],
            "app": flask.current_app.name,
        }

    async def look_async(thingId: int, body: Any) -> Any:  # noqa: N803 -- the document's names.
        assert await connexion.request.json() == {"a": 1}
        return look()

    def look_plain(thingId: int, body: Any) -> Any:  # noqa: N803
        return look()

    handler = look_async if kind == "async" else look_plain
    handler.__name__ = "handle"
    paths = {"/x/{thingId}": {"post": operation("handle", ID, requestBody=json_body(type="object"))}}
    client = program(paths, handler).test_client()
    first, second = client.post("/x/3", json={"a": 1}), client.post("/x/3", json={"a": 1})

    assert first.json() == {
        "request": "POST",
        "operation": "handle",
        "context": {},
        "agent": "testclient",
        "form": 1,
        "rule": "/x/<int:thingId>",
        "arguments": {"thingId": 3},
        "url": "/x/4",
        "visits": 1,
        "app": "tests.engine.programs",
    }
    assert second.json()["visits"] == 2


def test_context_is_passed_to_handlers_that_declare_it() -> None:
    class Stamp:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("extensions", {})["connexion_context"] = {"stamp": "s", "user": "ada"}
            await self.app(scope, receive, send)

    def handle(user: str, context_: Any) -> Any:
        return {"user": user, "context": context_}

    app: App = program({"/x": {"get": operation("handle")}}, handle)
    app.add_middleware(Stamp)

    assert app.test_client().get("/x").json() == {"user": "ada", "context": {"stamp": "s", "user": "ada"}}


def test_a_handler_that_asks_for_the_context_gets_an_empty_one() -> None:
    def handle(context_: Any) -> Any:
        return {"context": context_}

    assert program({"/x": {"get": operation("handle")}}, handle).test_client().get("/x").json() == {
        "context": {}
    }


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_stream_may_keep_the_context(kind: str) -> None:
    left: list[str] = []

    def stream() -> Any:
        try:
            yield flask.request.args["kind"]
            yield flask.current_app.name
        finally:
            left.append(flask.request.method)

    def plain() -> Any:
        return flask.Response(flask.stream_with_context(stream()), mimetype="application/json")

    async def coroutine() -> Any:
        return plain()

    handler = plain if kind == "plain" else coroutine
    handler.__name__ = "handle"
    client = serve(handler, KIND)

    assert client.get("/x?kind=a").text == "atests.engine.programs"
    assert client.head("/x?kind=a").text == ""
    assert left == ["GET"]


def test_call_on_close_runs_after_a_session_was_saved() -> None:
    closed: list[str] = []

    def handle() -> Any:
        flask.session["a"] = 1
        response = flask.Response(iter(["a"]), mimetype="application/json")
        response.call_on_close(lambda: closed.append("whole"))
        return response

    response = serve(handle).get("/x")

    assert (response.text, closed) == ("a", ["whole"])
    assert "session=" in response.headers["Set-Cookie"]


@pytest.mark.parametrize("behind_flask", [False, True])
@pytest.mark.parametrize("kind", ["file", "stream"])
def test_responses_that_wsgi_cannot_express_bypass_flask(
    tmp_path: Path,
    kind: str,
    behind_flask: bool,  # noqa: FBT001
) -> None:
    (tmp_path / "file").write_bytes(b"a file")

    async def stream() -> Any:
        yield b"a "
        yield b"stream"

    def handle() -> Any:
        flask.session["a"] = 1
        if kind == "file":
            return FileResponse(tmp_path / "file", media_type="application/json", headers={"Stamp": "s"})
        return Response(200, [(b"content-type", b"application/json"), (b"stamp", b"s")], stream())

    app = program({"/x": {"get": operation("handle")}}, handle)
    if behind_flask:
        app.app.after_request(lambda response: response.headers.add("Hook", "h") or response)
    response = app.test_client().get("/x")

    assert (response.text, response.headers["Stamp"]) == (f"a {kind}", "s")
    assert response.headers.get("Hook") == ("h" if behind_flask else None)
    assert "session=" in response.headers["Set-Cookie"]
    assert response.headers["Content-Type"] == "application/json"


def test_a_hook_may_replace_what_passes_by_flask() -> None:
    paths = {"/x": {"get": operation("streamed")}}
    app = program(paths, streamed)
    app.app.after_request(lambda _response: flask.Response("closed", 503))

    assert app.test_client().get("/x").text == "closed"
    assert program(paths, streamed).test_client().get("/x").text == "a stream"


async def streamed() -> Any:
    """Return an asynchronous stream."""

    async def chunks() -> Any:
        yield b"a stream"

    return Response(200, [(b"content-type", b"application/json")], chunks())


def test_an_exception_of_an_awaited_coroutine_is_raised_in_the_handler() -> None:
    async def handle() -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        loop.call_soon(future.set_exception, LookupError("x"))
        try:
            await future
        except LookupError as error:
            return {"caught": str(error)}

    assert serve(handle).get("/x").json() == {"caught": "x"}


def test_signals_and_functions_of_flasks_application_context_work() -> None:
    seen: list[str] = []

    def pushed(_app: Any, **_more: Any) -> None:
        seen.append("pushed")

    def popped(_app: Any, **_more: Any) -> None:
        seen.append("popped")

    def tearing_down(_app: Any, **_more: Any) -> None:
        seen.append("tearing down")

    def handle() -> Any:
        return {"name": flask.current_app.name}

    app = program({"/x": {"get": operation("handle")}}, handle)
    app.app.teardown_appcontext(lambda _error: seen.append("function"))
    client = app.test_client()
    client.get("/x")
    signals = flask.appcontext_pushed, flask.appcontext_popped, flask.appcontext_tearing_down
    with (
        signals[0].connected_to(pushed, app.app),
        signals[1].connected_to(popped, app.app),
        signals[2].connected_to(tearing_down, app.app),
    ):
        client.get("/x")

    assert seen == ["function", "pushed", "function", "tearing down", "popped"]


def test_url_for_works_in_an_application_context_alone() -> None:
    app = program(
        {"/x": {"get": operation("handle_nothing")}}, handle_nothing, server_args={"static_folder": None}
    )
    app.app.config["SERVER_NAME"] = "example.org"
    app.build()

    with app.app.app_context():
        assert flask.url_for("/.handle_nothing") == "http://example.org/x"


def handle_nothing() -> Any:
    """Return nothing."""


def test_an_application_context_ends_with_its_block() -> None:
    app = program({}).app

    with app.app_context():
        assert flask.current_app.name == app.name

    assert not flask.has_app_context()
