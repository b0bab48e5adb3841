"""The engine's undocumented assumptions about libraries: each message says what changed and what to do."""
# ruff: noqa: SLF001 -- private names are what is under test.

import ast
import asyncio
import re
from contextvars import copy_context
from dataclasses import fields as fields_of
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import connexion
import flask
import pytest
from a2wsgi.wsgi import build_environ
from connexion.context import context, operation, request
from connexion.decorators.parameter import pythonic, sanitized, unwrap_decorators
from connexion.exceptions import ProblemException, ResolverProblem
from connexion.frameworks.flask import flaskify_endpoint, flaskify_path
from connexion.http_facts import HTTP_STATUS_CODES
from connexion.jsonifier import Jsonifier, wrap_default
from connexion.lifecycle import ConnexionRequest
from connexion.middleware import MiddlewarePosition
from connexion.middleware.abstract import ROUTING_CONTEXT
from connexion.middleware.exceptions import ExceptionMiddleware
from connexion.middleware.main import ConnexionMiddleware, _Options
from connexion.middleware.server_error import ServerErrorMiddleware
from connexion.options import SwaggerUIConfig, SwaggerUIOptions
from connexion.security import (
    AbstractSecurityHandler,
    ApiKeySecurityHandler,
    OAuthSecurityHandler,
    SecurityHandlerFactory,
)
from connexion.spec import OpenAPISpecification
from connexion.uri_parsing import AbstractURIParser
from connexion.utils import get_root_path
from flask.ctx import AppContext, RequestContext
from flask.globals import _cv_app, _cv_request
from flask.json.provider import DefaultJSONProvider
from jsonschema_rs import Draft4Validator, EmailOptions
from marshmallow import Schema, fields, post_dump, pre_dump
from marshmallow.decorators import POST_DUMP, PRE_DUMP
from starlette.datastructures import QueryParams
from starlette.requests import cookie_parser
from starlette.responses import Response, StreamingResponse
from starlette.staticfiles import StaticFiles
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, Preamble
from werkzeug.utils import get_content_type
from werkzeug.wrappers import Response as WerkzeugResponse

from users_api.engine import document_schema, pipeline
from users_api.engine.api import OPTION_NAMES
from users_api.engine.app import App
from users_api.engine.connexion_internals import CONTEXT_KEY, InspectOnceMixin, bind_request
from users_api.engine.contexts import HOOKS
from users_api.engine.cookies import parse_cookies

ENGINE = Path(document_schema.__file__).parent
PRIVATE = {  # By library: the only module that may use its private names, and the names.
    "connexion": (
        "connexion_internals",
        {"_accepts_kwarg", "_context", "_generic_check", "_operation", "_receive", "_scope"},
    ),
    "flask": ("contexts", {"_cv_app", "_cv_request", "_cv_tokens", "_session"}),
    "marshmallow": ("dump", {"_CHECK_ATTRIBUTE", "_format_num", "_hooks", "_serialize"}),
    "werkzeug": ("responses", {"_on_close"}),
}
DOCUMENTED = {"_asdict", "_fields", "_replace"}  # Documented names of named tuples.
SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "method": "GET",
    "path": "/here",
    "query_string": b"q=1",
    "headers": [(b"x-header", b"1")],
}
CONNEXION_OPTIONS = {"resolver_error_handler"}  # Connexion derives it from `resolver_error`.


def modules():
    return {path.stem: ast.parse(path.read_text()) for path in sorted(ENGINE.glob("*.py"))}


def own_names(module):
    """Yield all names that a module defines, including attributes."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.attr if isinstance(node, ast.Attribute) else node.id


def foreign_names(module):
    """Yield the private names that a module uses but does not define."""
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)


def names_used_by(function):
    return set(function.__code__.co_names)


async def sent_by(application, scope):
    messages = []

    async def send(message):
        messages.append(message)

    await application(scope, asyncio.Event().wait, send)
    return messages


# Every library


def test_private_names_of_a_library_are_used_in_one_module_only():
    for name, module in modules().items():
        used = {each for each in foreign_names(module) if re.match(r"_[^_]", each)}
        allowed = {each for home, names in PRIVATE.values() if home == name for each in names}
        assert used - set(own_names(module)) - DOCUMENTED <= allowed, (
            f"{name}: add it to PRIVATE, with a test here"
        )


@pytest.mark.parametrize("library", PRIVATE)
def test_each_private_name_that_is_listed_is_used(library):
    home, names = PRIVATE[library]

    assert {name for name in names if name in (ENGINE / f"{home}.py").read_text()} == names


# Flask


def test_flasks_proxies_read_their_context_variables():
    app, request_ = flask.Flask(__name__), flask.Request({})
    gone = "Flask's proxies no longer read {}: look for the context variable in flask/globals.py"

    with_app = _cv_app.set(SimpleNamespace(app=app, g=SimpleNamespace(a=1)))
    with_request = _cv_request.set(SimpleNamespace(request=request_, session={"b": 2}))
    try:
        assert flask.current_app._get_current_object() is app, gone.format("_cv_app")
        assert flask.g.a == 1, gone.format("_cv_app")
        assert flask.request._get_current_object() is request_, gone.format("_cv_request")
        assert flask.session["b"] == 2, gone.format("_cv_request")
    finally:
        _cv_request.reset(with_request)
        _cv_app.reset(with_app)


def test_an_application_context_holds_and_does_what_ours_does():
    changed = "Flask changed {}: do the same in LeanAppContext (contexts.py)"

    assert set(vars(AppContext(flask.Flask(__name__)))) == {"app", "g", "url_adapter", "_cv_tokens"}, (
        changed.format("what AppContext.__init__ sets")
    )
    assert names_used_by(AppContext.push) == {
        "_cv_app", "_cv_tokens", "app", "appcontext_pushed", "append", "ensure_sync", "send", "set",
    }, changed.format("AppContext.push")  # fmt: skip
    assert names_used_by(AppContext.pop) == {
        "AssertionError", "_cv_app", "_cv_tokens", "_sentinel", "app", "appcontext_popped",
        "do_teardown_appcontext", "ensure_sync", "exc_info", "get", "len", "pop", "reset", "send", "sys",
    }, changed.format("AppContext.pop")  # fmt: skip
    assert names_used_by(flask.Flask.do_teardown_appcontext) == {
        "_sentinel", "appcontext_tearing_down", "ensure_sync", "exc_info", "reversed", "send", "sys",
        "teardown_appcontext_funcs",
    }, "Flask changed do_teardown_appcontext: do the same in EngineFlask (contexts.py)"  # fmt: skip


def test_a_request_context_opens_its_session_and_its_route_when_pushed():
    assert names_used_by(RequestContext.push) == {
        "_cv_app", "_cv_request", "_cv_tokens", "_session", "app", "app_context", "append", "get",
        "make_null_session", "match_request", "open_session", "push", "request", "session_interface", "set",
        "url_adapter",
    }, "Flask changed RequestContext.push: do the same in RoutedContext.open (contexts.py)"  # fmt: skip
    assert "request_context" in names_used_by(flask.Flask.wsgi_app), (
        "Flask.wsgi_app no longer makes its context by request_context(): "
        "look for where EngineFlask can give its own"
    )
    assert {"request_ctx", "_after_request_functions", "save_session"} <= names_used_by(
        flask.Flask.process_response
    ), (
        "Flask.process_response no longer saves sessions, or runs after_this_request, "
        "of the current context: look for what does, and call it in _processed (contexts.py)"
    )


def test_flask_keeps_hooks_in_lists_by_blueprint():
    app = flask.Flask(__name__)
    for register in (app.before_request, app.after_request, app.teardown_request, app.url_value_preprocessor):
        register(test_flask_keeps_hooks_in_lists_by_blueprint)

    assert [dict(getattr(app, name)) for name in HOOKS] == [
        {None: [test_flask_keeps_hooks_in_lists_by_blueprint]}
    ] * 4, (
        "Flask keeps hooks elsewhere: "
        "correct HOOKS (contexts.py), by which it is known whether a program has any"
    )
    tables = {
        name
        for name, value in vars(app).items()
        if isinstance(value, dict) and name.endswith(("funcs", "processors"))
    }
    assert tables == {*HOOKS, "template_context_processors"}, (
        "Flask has a new kind of hook: add it to HOOKS if it sees requests"
    )
    app.register_error_handler(418, print)
    assert app.error_handler_spec[None][418], (
        "Flask keeps error handlers elsewhere: correct uses_hooks (contexts.py)"
    )


def test_flasks_json_provider_converts_by_a_plain_function():
    with pytest.raises(TypeError):
        # It takes no instance, and `dumps` in responses.py depends on that.
        DefaultJSONProvider.default(object())


# a2wsgi


def test_a2wsgi_builds_an_environment_without_reading_the_body():
    body = BytesIO(b"body")

    environ = build_environ(SCOPE, body)

    gone = "a2wsgi changed build_environ: look for how WSGIResponder makes its environment"
    assert environ["asgi.scope"] is SCOPE, gone
    assert environ["wsgi.input"] is body, gone
    assert (environ["PATH_INFO"], environ["QUERY_STRING"], environ["HTTP_X_HEADER"]) == (
        "/here",
        "q=1",
        "1",
    ), gone


# Werkzeug


def test_a_werkzeug_response_tells_whether_closing_does_anything():
    response = WerkzeugResponse(b"")
    assert response._on_close == [], (
        "Werkzeug renamed Response._on_close: look for what call_on_close appends to"
    )
    response.call_on_close(print)
    assert response._on_close == [print], "Werkzeug's call_on_close keeps functions elsewhere: look there"


PART = b'--b\r\nContent-Disposition: form-data; name="a"'


def events_of(decoder):
    decoder.receive_data(None)
    events = [decoder.next_event()]
    while not isinstance(events[-1], Epilogue):
        events.append(decoder.next_event())
    return events


def test_werkzeug_parses_multipart_into_events():
    decoder = MultipartDecoder(b"b", max_parts=2)
    decoder.receive_data(PART + b"\r\n\r\n1\r\n" + PART + b'; filename="f"\r\n\r\n2\r\n--b--\r\n')

    events = events_of(decoder)

    assert [type(event) for event in events] == [Preamble, Field, Data, File, Data, Epilogue], (
        "Werkzeug's MultipartDecoder gives other events: correct _events (forms.py)"
    )
    assert (events[3].name, events[3].filename, events[4].data) == ("a", "f", b"2")


def test_werkzeug_limits_the_parts_of_a_multipart_body():
    decoder = MultipartDecoder(b"b", max_parts=1)
    decoder.receive_data(PART + b"\r\n\r\n1\r\n" + PART + b"\r\n\r\n2\r\n--b--\r\n")

    with pytest.raises(RequestEntityTooLarge):  # If not, look for max_parts, or count the parts in forms.py.
        events_of(decoder)


def test_werkzeug_parses_the_head_of_each_part_in_one_call():
    heads = []

    class Decoder(MultipartDecoder):
        def _parse_headers(self, data):
            heads.append(bytes(data))
            return super()._parse_headers(data)

    decoder = Decoder(b"b")
    decoder.receive_data(PART + b"\r\nX: 1\r\n\r\n1\r\n" + PART + b"\r\n\r\n2\r\n--b--\r\n")
    events_of(decoder)

    assert [head.strip() for head in heads] == [PART[5:] + b"\r\nX: 1", PART[5:]], (
        "Werkzeug's MultipartDecoder has no _parse_headers any more: limit the heads in forms.py elsewhere"
    )


def test_werkzeug_gives_text_a_charset():
    assert [get_content_type(each, "utf-8") for each in ("text/csv", "image/png")] == [
        "text/csv; charset=utf-8",
        "image/png",
    ], (
        "Werkzeug's get_content_type changed: "
        "look for how it makes Content-Type, and correct _media_type (responses.py)"
    )


# Starlette


def test_a_starlette_response_is_its_status_its_headers_and_its_body():
    response = Response("text", 201, {"X-Header": "1"})

    assert asyncio.run(sent_by(response, SCOPE)) == [
        {"type": "http.response.start", "status": 201, "headers": response.raw_headers},
        {"type": "http.response.body", "body": response.body},
    ], "Starlette sends more of a Response than this: from_starlette (responses.py) has to send it too"
    assert names_used_by(Response.__call__) == {
        "_wrap_websocket_denial_send", "background", "body", "raw_headers", "status_code",
    }, "Starlette's Response.__call__ does something new: see from_starlette (responses.py)"  # fmt: skip


def test_a_starlette_stream_sends_the_headers_that_it_is_given():
    async def chunks():
        yield b"a"

    response = StreamingResponse(chunks(), 200)
    response.raw_headers = headers = [(b"x-header", b"1")]

    assert asyncio.run(sent_by(response, SCOPE))[0]["headers"] is headers, (
        "Starlette's responses have no raw_headers any more: "
        "look for what StreamingResponse sends, for Response._stream"
    )


def test_starlette_reads_cookies_as_browsers_write_them():
    for header in (
        'a=1; b="x y"; =2; c',
        r'a="\"\\\303\251\"; b="; c=""; d=a"b"',
        "a=1; a=2;;  ; = ;x==",
        "",
        '"',
    ):
        assert parse_cookies(header) == cookie_parser(header), (
            "Starlette's cookie_parser changed: see what cookies.py has to change"
        )


def test_starlette_finds_files_in_several_folders(tmp_path):
    (tmp_path / "index.html").write_text("")
    files = StaticFiles(directory=tmp_path, packages=[("flask_swagger_ui", "dist")])

    assert [Path(each).name for each in files.all_directories] == [tmp_path.name, "dist"], (
        "Starlette renamed StaticFiles.all_directories: look for what lookup_path searches, for pages.py"
    )
    assert asyncio.run(files.get_response("index.html", SCOPE)).status_code == 200


def test_starlette_parses_a_query_in_bytes():
    assert QueryParams(b"a=1&a=2")["a"] == "2"


# marshmallow


class Plain(Schema):
    number = fields.Integer()


def test_marshmallow_dumps_field_by_field():
    changed = "marshmallow changed {}: do the same in the functions that dump.py compiles"

    assert names_used_by(Schema.dump) == {
        "POST_DUMP", "PRE_DUMP", "_hooks", "_invoke_dump_processors", "_serialize", "bool", "many",
    }, changed.format("Schema.dump")  # fmt: skip
    assert names_used_by(Schema._serialize) == {
        "data_key", "dict_class", "dump_fields", "get_attribute", "items", "missing", "serialize",
    }, changed.format("Schema._serialize")  # fmt: skip
    assert names_used_by(fields.Field.serialize) == {
        "_CHECK_ATTRIBUTE", "_serialize", "callable", "dump_default", "get_value", "missing_",
    }, changed.format("Field.serialize")  # fmt: skip
    assert names_used_by(fields.Number._serialize) == {"_format_num", "_to_string", "as_string"}, (
        changed.format("Number._serialize")
    )


def test_marshmallow_keeps_a_schemas_hooks_by_their_kind():
    class Hooked(Plain):
        @pre_dump
        def before(self, thing, **_):
            return thing

        @post_dump
        def after(self, dumped, **_):
            return dumped

    renamed = "marshmallow renamed Schema._hooks: look for where Schema.dump finds pre_dump and post_dump"
    assert not Plain._hooks[PRE_DUMP] + Plain._hooks[POST_DUMP], renamed
    assert [name for tag in (PRE_DUMP, POST_DUMP) for name, *_ in Hooked._hooks[tag]] == [
        "before",
        "after",
    ], renamed
    assert Hooked().dump({"number": 1}) == {"number": 1}


def test_marshmallow_tells_which_fields_read_no_attribute():
    assert [
        each._CHECK_ATTRIBUTE for each in (fields.Field, fields.Constant, fields.Function, fields.Method)
    ] == [
        True,
        False,
        False,
        False,
    ], "marshmallow renamed Field._CHECK_ATTRIBUTE: look in Field.serialize"


# jsonschema-rs


def test_jsonschema_rs_tells_the_errors_of_each_alternative():
    schema = {"oneOf": [{"required": ["$ref"]}, {"properties": {"in": {"enum": ["a"]}}}]}
    (error,) = Draft4Validator(schema, mask="the value").iter_errors({"in": 1})
    (reference,), (selector,) = error.kind.context

    changed = "jsonschema-rs changed its errors: look for {} in ValidationError, for document_schema.py"
    assert (reference.kind.name, selector.kind.name) == ("required", "enum"), changed.format("kind.name")
    assert reference.message.startswith('"$ref"'), changed.format("message")
    assert selector.instance_path == ["in"], changed.format("instance_path")
    assert selector.message.startswith("the value is not one of"), changed.format("message, and mask")


@pytest.mark.parametrize("schema", [{"pattern": "("}, {"enum": [{1}]}, {"multipleOf": float("nan")}])
def test_jsonschema_rs_refuses_what_it_cannot_check(schema):
    # If not, keywords.py has to find out: nothing may be discovered by a request.
    with pytest.raises(ValueError, match=r"."):
        Draft4Validator(schema)


def test_jsonschema_rs_rejects_an_address_with_a_name():
    validator = Draft4Validator(
        {"format": "email"}, validate_formats=True, email_options=EmailOptions(allow_display_text=False)
    )

    assert not validator.is_valid("Ada <ada@example.org>"), "jsonschema-rs changed EmailOptions"


# Connexion


def test_connexions_proxies_read_its_context_variables():
    context_, operation_ = {"user": "ada"}, object()

    def bound():
        bind_request(operation_, dict(SCOPE), asyncio.Event().wait, context_)
        proxied = context._get_current_object(), operation._get_current_object()
        return *proxied, request.headers["x-header"], request.method

    assert copy_context().run(bound) == (context_, operation_, "1", "GET"), (
        "Connexion renamed the variables of its proxies: "
        "look in connexion/context.py, for connexion_internals.py"
    )


def test_connexions_request_keeps_its_context_in_the_scope():
    scope = dict(SCOPE)

    assert ConnexionRequest(scope).context is scope["extensions"][CONTEXT_KEY], (
        "Connexion keeps `request.context` elsewhere: "
        "look in ConnexionRequest.context, connexion/lifecycle.py"
    )


def test_connexion_inspects_a_security_function_by_a_method_of_its_own():
    asked = []

    class Handler(AbstractSecurityHandler):
        def _accepts_kwarg(self, _func, keyword):
            asked.append(keyword)
            return False

    async def check(function):
        return await Handler()._generic_check(lambda token: token, "not valid")(None, function)

    assert asyncio.run(check("t")) == "t"
    assert asked == [AbstractSecurityHandler.required_scopes_kw, AbstractSecurityHandler.request_kw], (
        "Connexion looks at security functions otherwise: "
        "look in AbstractSecurityHandler._generic_check, for InspectOnceMixin"
    )
    assert InspectOnceMixin()._generic_check(check, "not valid")


def test_connexions_security_handlers_have_what_ours_override():
    renamed = "Connexion renamed {}: look in connexion/security.py for what security.py has to override"

    assert callable(ApiKeySecurityHandler.get_cookie_value), renamed.format(
        "ApiKeySecurityHandler.get_cookie_value"
    )
    assert callable(OAuthSecurityHandler.get_scope_validate_func), renamed.format("get_scope_validate_func")
    assert callable(OAuthSecurityHandler.get_token_info_remote), renamed.format("get_token_info_remote")
    for name in ("parse_security_scheme", "verify_multiple_schemes", "verify_none", "verify_security"):
        assert callable(getattr(SecurityHandlerFactory, name)), renamed.format(
            f"SecurityHandlerFactory.{name}"
        )


def test_the_pipeline_lists_connexions_middlewares():
    assert ConnexionMiddleware.default_middlewares == [
        ServerErrorMiddleware,
        ExceptionMiddleware,
        *pipeline.INNER_POSITIONS,
    ], "Connexion's stack of middlewares changed: correct INNER and Pipeline.stack (pipeline.py)"
    assert {position.value for position in MiddlewarePosition} <= set(
        ConnexionMiddleware.default_middlewares
    ), (
        "Connexion's positions are no middlewares of its stack any more: "
        "look in MiddlewarePosition, for App.add_middleware"
    )
    assert ROUTING_CONTEXT == "connexion_routing", "Connexion renamed what its routing leaves in the scope"
    assert hasattr(ConnexionMiddleware, "_build_middleware_stack"), (
        "Connexion renamed it: rename that of Middleware (app.py)"
    )


def test_app_has_the_interface_of_flaskapp():
    public = {name for name in dir(connexion.FlaskApp) if not name.startswith("_")}
    options = {field.name for field in fields_of(_Options)}

    assert public <= set(dir(App)), "FlaskApp has something new: App needs it too"
    assert options - CONNEXION_OPTIONS == OPTION_NAMES, (
        "Connexion has other options: correct Options (api.py)"
    )


def test_connexions_operations_are_flask_endpoints_by_their_ids():
    assert flaskify_endpoint("api.users.get") == "api_users_get"
    assert flaskify_path("/a/{b-c}/{d}", {"d": "path"}) == "/a/<b_c>/<path:d>", (
        "Connexion changed flaskify_path: look for the names of view arguments, for flask_routes.py"
    )


def test_connexion_names_arguments():
    assert [pythonic("userId[]"), pythonic("list"), sanitized("user.id")] == ["user_id", "list_", "userid"], (
        "Connexion changed `pythonic` or `sanitized`: handlers get their arguments by other names"
    )
    assert unwrap_decorators(test_connexion_names_arguments) is test_connexion_names_arguments


def test_connexions_json_is_that_of_its_default_function():
    assert wrap_default(lambda _provider, value: [value])(None, 1) == [1], (
        "Connexion changed wrap_default: look for the conversions of dates, for dumps (responses.py)"
    )
    assert Jsonifier(flask.json, indent=2).dumps({"a": 1}, cls=None) == '{\n  "a": 1\n}\n'


def test_connexions_schema_of_documents_has_each_kind_of_object():
    kinds = document_schema.FIELDS.keys() - {"Document", "Components", "Callback"}

    assert kinds <= OpenAPISpecification.openapi_schema["definitions"].keys(), (
        "Connexion's schema of OpenAPI 3.0 names objects otherwise: correct FIELDS (document_schema.py)"
    )


def test_connexions_options_of_swagger_ui_have_these_names():
    config = SwaggerUIConfig(SwaggerUIOptions(), oas_version=(3, 0, 0))

    assert (config.openapi_spec_path, config.swagger_ui_path) == ("/openapi.json", "/ui"), (
        "Connexion changed SwaggerUIConfig: look in connexion/options.py, for pages.py"
    )


def test_connexions_parsers_of_uris_resolve_path_query_and_form():
    assert {"resolve_path", "resolve_query", "resolve_form"} <= set(dir(AbstractURIParser)), (
        "Connexion changed AbstractURIParser: "
        "programs' parsers are called by these names in parameters.py and forms.py"
    )


def test_connexion_finds_the_folder_of_a_program():
    assert get_root_path(App.__module__) == str(ENGINE), (
        "Connexion changed get_root_path: look for it in Flask's helpers"
    )


def test_connexions_problems_describe_themselves():
    problem = ResolverProblem(detail="gone", status=501)

    assert isinstance(problem, ProblemException)
    assert (problem.to_problem().status_code, HTTP_STATUS_CODES[501]) == (501, "Not Implemented")
