"""Security requirements accept the same credentials as stock Connexion, except for a table of differences."""

# ruff: noqa: S105 -- the passwords of tests are public.
# ruff: noqa: PLR0913, PLR0917 -- the rows of the tables have many columns.

import asyncio
import json
import logging
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle, product

import pytest
from connexion import AsyncApp
from connexion.context import context, request
from connexion.exceptions import OAuthProblem, ProblemException
from connexion.security import AbstractSecurityHandler, BearerSecurityHandler
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from users_api.engine.failures import DocumentError
from users_api.engine.security import Security

HERE = __name__


class BrokenError(Exception):
    """Represents a bug in an info function."""


def basic(username, password):
    if username == "broken":
        raise BrokenError
    return {"sub": username} if password == "secret" else None


async def basic_later(username, password, required_scopes=None):
    await asyncio.sleep(0)
    return {"uid": username, "scopes": required_scopes} if password == "secret" else None


def bearer(token, **keywords):
    if token == "refused":
        raise OAuthProblem(detail="refused by hand")
    names = sorted(keywords)
    return (
        {"sub": token, "given": names, "path": keywords["request"].url.path}
        if token.startswith("t")
        else None
    )


def key(apikey, required_scopes=None):
    return {"sub": apikey, "required": required_scopes} if apikey.startswith("k") else None


async def key_of_request(apikey, request):
    return {"sub": apikey, "agent": request.headers.get("user-agent"), "query": request.query_params.get("n")}


def token(token):
    return {"sub": "t", "scope": token} if token.startswith("read") else None


def token_with_list(token, required_scopes):
    return {"sub": "t", "scopes": token.split("+"), "needs": required_scopes}


async def any_scope(required_scopes, token_scopes):
    return any(scope in token_scopes for scope in required_scopes)


NOT_CALLABLE = "text"


class Digest(AbstractSecurityHandler):
    """A handler of the program's own, as Connexion documents them."""

    security_definition_key = "x-digestInfoFunc"
    environ_key = "DIGESTINFO_FUNC"

    def _get_verify_func(self, function):
        check = self._generic_check(function, "Provided digest is not valid")

        def verify(request):
            kind, value = self.get_auth_header_value(request)
            return check(request, value) if kind == "digest" else NO_VALUE

        return verify


NO_VALUE = sys.modules[AbstractSecurityHandler.__module__].NO_VALUE
SECURITY_MAP = {"digest": Digest, "hoba": BearerSecurityHandler}

SCHEMES = {
    "basic": {"type": "http", "scheme": "Basic", "x-basicInfoFunc": f"{HERE}.basic"},
    "basic_later": {"type": "http", "scheme": "basic", "x-basicInfoFunc": f"{HERE}.basic_later"},
    "bearer": {"type": "http", "scheme": "bearer", "x-bearerInfoFunc": f"{HERE}.bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-Key", "x-apikeyInfoFunc": f"{HERE}.key"},
    "query": {"type": "apiKey", "in": "query", "name": "key", "x-apikeyInfoFunc": f"{HERE}.key"},
    "query_of_request": {
        "type": "apiKey", "in": "query", "name": "k", "x-apikeyInfoFunc": f"{HERE}.key_of_request",
    },
    "cookie": {"type": "apiKey", "in": "cookie", "name": "session", "x-apikeyInfoFunc": f"{HERE}.key"},
    "key_as_bearer": {
        "type": "apiKey", "in": "header", "name": "Authorization", "x-authentication-scheme": "Bearer",
        "x-bearerInfoFunc": f"{HERE}.bearer",
    },
    "oauth": {"type": "oauth2", "flows": {}, "x-tokenInfoFunc": f"{HERE}.token"},
    "oauth_list": {"type": "oauth2", "flows": {}, "x-tokenInfoFunc": f"{HERE}.token_with_list"},
    "oauth_any": {
        "type": "oauth2", "flows": {}, "x-tokenInfoFunc": f"{HERE}.token",
        "x-scopeValidateFunc": f"{HERE}.any_scope",
    },
    "digest": {"type": "http", "scheme": "Digest", "x-digestInfoFunc": f"{HERE}.key"},
    "hoba": {"type": "http", "scheme": "hoba", "x-bearerInfoFunc": f"{HERE}.bearer"},
}  # fmt: skip

REQUIREMENTS = {
    "global": None,
    "open": [],
    **{name: [{name: []}] for name in SCHEMES},
    "anybody": [{}],
    "scope": [{"oauth": ["read"]}],
    "scopes": [{"oauth": ["read", "write"]}],
    "scopes_list": [{"oauth_list": ["read", "write"]}],
    "scopes_any": [{"oauth_any": ["write", "admin"]}],
    "and": [{"basic": [], "header": []}],
    "and_oauth": [{"oauth": ["read"], "query": [], "cookie": []}],
    "or": [{"basic": []}, {"header": []}, {"oauth": ["write"]}],
    "or_and": [{"header": [], "query": []}, {"bearer": []}],
    "optional": [{"basic": []}, {}],
    "optional_first": [{}, {"basic": []}],
}
GLOBAL = [{"basic_later": []}]


def user(name, password="secret"):  # noqa: S107
    return b"Basic " + b64encode(f"{name}:{password}".encode())


AUTHORIZATIONS = [
    None, b"", b" ", b"Basic", b"Basic ", b"Basic =", b"Basic a", b"Basic !!!!", b"Basic \xff\xfe",
    b"basic \xa0", b"Basic " + b64encode(b"no colon"), b"Basic " + b64encode(b"\xff:secret"),
    b"Basic " + b64encode(b":"), user("ada"), user("ada", "wrong"), user("broken"), user("a:b"),
    b"bAsIc  " + user("ada")[6:], user("ada") + b" x", b"Bearer", b"Bearer ", b"Bearer t1",
    b"bearer\tt2", b"Bearer no", b"Bearer refused", b"Bearer t\xff", b"Bearer t a", b"Bearer read",
    b"Bearer read write", b"Bearer read+write", b"Bearer \x00", b"Digest k1", b"Digest", b"HOBA t1",
    b"Negotiate abc", b"\xff\xff", b"\x85", b"Basic " + b"QUFB" * 250_000,
    b"Bearer " + b"x" * 1_000_000, b"x" * 1_000_000,
]  # fmt: skip
OTHERS = [
    ([], b""),
    ([(b"x-key", b"k1")], b""),
    ([(b"x-key", b"wrong")], b"key=k2&n=1"),
    ([(b"x-key", b""), (b"user-agent", b"curl")], b"key=&k="),
    ([(b"cookie", b"session=k3")], b"key=k1&key=k2&k=1&n=a&n=b"),
    ([(b"cookie", b'a=b; session="k4"'), (b"x-key", b"k1"), (b"x-key", b"wrong")], b"key=%ff%zz&k=%ff"),
    ([(b"cookie", b"session=wrong")], b"&&;=&=%ff%"),
]  # fmt: skip
REQUESTS = [
    *zip(AUTHORIZATIONS, cycle(OTHERS), strict=False),
    *product([None, user("ada"), b"Bearer t1", b"Bearer read"], OTHERS),
]


def document(requirements=REQUIREMENTS, schemes=SCHEMES, security=GLOBAL):
    paths = {}
    for name, wanted in requirements.items():
        operation = {
            "operationId": f"{HERE}.show_{name}",
            "responses": {"200": {"description": "The identity."}},
        }
        paths[f"/{name}"] = {"get": operation if wanted is None else {**operation, "security": wanted}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "Security", "version": "1"},
        "security": security,
        "components": {"securitySchemes": schemes},
        "paths": paths,
    }


async def show():
    assert request.context == context
    return {name: context[name] for name in ("user", "token_info") if name in context}


globals().update(dict.fromkeys([f"show_{name}" for name in (*REQUIREMENTS, "here")], show))


def stock(specification, security_map=SECURITY_MAP):
    app = AsyncApp(HERE, security_map=security_map)
    app.add_api(specification)
    return app


def compiled(specification, path, security_map=SECURITY_MAP):
    operation = specification["paths"][path]["get"]
    requirements = operation.get("security", specification["security"])
    return Security.compile(
        requirements, specification["components"]["securitySchemes"], "#/security", security_map=security_map
    )


def scope_of(path, headers=(), query=b""):
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": query,
        "headers": list(headers), "client": ("127.0.0.1", 1), "server": ("testserver", 80),
    }  # fmt: skip


async def stock_answer(app, scope):
    """Return the status, and the user or the reason of the rejection."""
    sent = []

    async def receive(): ...

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    body = json.loads(b"".join(message.get("body", b"") for message in sent))
    status = sent[0]["status"]
    return status, body if status == 200 else body["detail"]


async def checked(security, scope):
    """Return the context of a request with valid credentials."""
    await security.check_and_wait(scope)
    context = scope["extensions"]["connexion_context"]
    assert scope["token_info"] is context["token_info"]
    return context


async def our_answer(security, scope):
    if security is None:
        return 200, {}
    try:
        context = await checked(security, scope)
    except ProblemException as error:
        return error.status_code, error.detail
    except HTTPException as error:
        return error.status_code, error.detail
    except BrokenError:
        return 500, None
    return 200, {name: context[name] for name in ("user", "token_info")}


def same(ours, theirs):
    """Compare responses, without the details of 5xx responses."""
    return ours == theirs if theirs[0] != 500 else ours[0] == 500


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def silence_connexion():
    """Silence Connexion, which logs each rejection at length."""
    logger = logging.getLogger("connexion")
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(logging.NOTSET)


@pytest.fixture(scope="module")
def securities():
    return {name: compiled(document(), f"/{name}") for name in REQUIREMENTS}


@pytest.fixture(scope="module")
def stock_app():
    return stock(document())


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_requirements_accept_the_same_credentials_as_connexion(name, stock_app, securities, runner):
    security = securities[name]

    async def answers():
        for authorization, (headers, query) in REQUESTS:
            own = [] if authorization is None else [(b"authorization", authorization)]
            scopes = [scope_of(f"/{name}", [*own, *headers], query) for _ in range(2)]
            ours, theirs = await our_answer(security, scopes[0]), await stock_answer(stock_app, scopes[1])
            yield (authorization or b"")[:50], headers, query, ours, theirs

    async def differences():
        return [answer async for answer in answers() if not same(*answer[-2:])]

    assert runner.run(differences()) == []


HOSTILE = st.one_of(
    st.binary(max_size=12),
    st.tuples(
        st.sampled_from([b"Basic", b"Bearer", b"Digest", b"basic,", b""]),
        st.sampled_from([b" ", b"\t", b"", b"\xa0", b"\x1c", b"  "]),
        st.binary(max_size=12) | st.binary(max_size=12).map(b64encode),
    ).map(b"".join),
)


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(
    authorizations=st.lists(HOSTILE, min_size=1, max_size=3),
    keys=st.lists(st.binary(max_size=6), max_size=2),
    query=st.binary(max_size=6).map(b"key=".__add__),
    cookie=st.binary(max_size=12) | st.binary(max_size=6).map(b"session=".__add__),
)
def test_malformed_credentials_never_result_in_500(
    authorizations, keys, query, cookie, stock_app, securities, runner
):
    headers = [(b"authorization", value) for value in authorizations] + [(b"x-key", value) for value in keys]

    for name, security in securities.items():
        scopes = [scope_of(f"/{name}", headers, query) for _ in range(2)]
        ours = runner.run(our_answer(security, scopes[0]))
        assert ours[0] in {200, 401, 403}
        assert ours == runner.run(stock_answer(stock_app, scopes[1]))

        with_cookie = scope_of(f"/{name}", [*headers, (b"cookie", cookie)], query)
        assert runner.run(our_answer(security, with_cookie))[0] in {200, 401, 403}


COOKIE_DEVIATIONS = [
    # the Cookie header, stock's status, the engine's status
    (b"a/b=c; session=k1", 500, 200),  # http.cookies raises CookieError
    (b'prefs={"a": 1}; session=k1', 401, 200),  # http.cookies discards all cookies
    (b"session=k1; flag", 401, 200),  # the same
    (b'session="k;1"', 200, 401),  # RFC 6265 allows no semicolon in a value
]


@pytest.mark.parametrize(("cookie", "theirs", "ours"), COOKIE_DEVIATIONS)
def test_a_cookie_is_found_next_to_malformed_cookies(cookie, theirs, ours, stock_app, runner):
    headers = [(b"cookie", cookie)]

    assert runner.run(stock_answer(stock_app, scope_of("/cookie", headers)))[0] == theirs
    assert runner.run(our_answer(compiled(document(), "/cookie"), scope_of("/cookie", headers)))[0] == ours


TWO_OAUTH = {"oauth": SCHEMES["oauth"], "oauth_list": SCHEMES["oauth_list"]}
OPENID = {
    "openid": {"type": "openIdConnect", "openIdConnectUrl": "/openid", "x-tokenInfoFunc": f"{HERE}.token"}
}

DEVIATIONS = [
    # requirements, schemes, credentials, stock's status, ours
    ([{"oauth": ["read"], "oauth_list": ["read"]}], TWO_OAUTH, b"Bearer read", 401, 200),  # stock skips these
    ([{"oauth": ["read"], "oauth_list": ["write"]}], TWO_OAUTH, b"Bearer read", 401, 403),
    ([{"openid": ["read"]}], OPENID, b"Bearer read", 401, 200),  # stock has no handler for it
    ([{"openid": ["write"]}], OPENID, b"Bearer read", 401, 403),
    ([{"openid": []}, {}], OPENID, None, 200, 200),
]


@pytest.mark.parametrize(("requirements", "schemes", "authorization", "theirs", "ours"), DEVIATIONS)
def test_requirements_that_connexion_skips_are_enforced(
    requirements, schemes, authorization, theirs, ours, runner
):
    specification = document({"here": requirements}, schemes, [])
    headers = [(b"authorization", authorization)] if authorization else []

    assert runner.run(stock_answer(stock(specification), scope_of("/here", headers)))[0] == theirs
    assert runner.run(our_answer(compiled(specification, "/here"), scope_of("/here", headers)))[0] == ours


REFUSED = [
    (
        [{"absent/~": []}], {},
        ("#/security/0/absent~1~0: there is no such security scheme; "
        "declare it in #/components/securitySchemes"),
    ),
    (
        [{"basic": []}, {"header": ["read"]}], SCHEMES,
        "#/security/1/header: only oauth2 and openIdConnect schemes have scopes; write []",
    ),
    (
        [{"a": []}], {"a": {"type": "http", "scheme": "Basic"}},
        ("#/components/securitySchemes/a: nothing verifies this security scheme; "
        "name a function in x-basicInfoFunc, or give a handler for basic in security_map"),
    ),
    (
        [{"a": []}], {"a": {"type": "http", "scheme": "Negotiate"}},
        ("#/components/securitySchemes/a: nothing verifies this security scheme; "
        "give a handler for negotiate in security_map"),
    ),
    (
        [{"a": []}], {"a": {"type": "apiKey", "in": "query", "name": "k"}},
        ("#/components/securitySchemes/a: nothing verifies this security scheme; "
        "name a function in x-apikeyInfoFunc, or give a handler for apiKey in security_map"),
    ),
    (
        [{"a": []}],
        {"a": {"type": "apiKey", "in": "header", "name": "k", "x-authentication-scheme": "Bearer"}},
        ("#/components/securitySchemes/a: nothing verifies this security scheme; "
        "name a function in x-bearerInfoFunc, or give a handler for apiKey in security_map"),
    ),
    (
        [{"a": []}, {}], {"a": {"type": "oauth2", "flows": {}}},
        ("#/components/securitySchemes/a: nothing verifies this security scheme; "
        "name a function in x-tokenInfoFunc or x-tokenInfoUrl, or give a handler for oauth2 in security_map"),
    ),
    (
        [{"a": []}], {"a": {"type": "openIdConnect", "openIdConnectUrl": "/o"}},
        ("#/components/securitySchemes/a: nothing verifies this security scheme; "
        "name a function in x-tokenInfoFunc or x-tokenInfoUrl, "
        "or give a handler for openIdConnect in security_map"),
    ),
    (
        [{"a": []}], {"a": {"type": "http", "scheme": "basic", "x-basicInfoFunc": f"{HERE}.nowhere"}},
        ("#/components/securitySchemes/a: its function cannot be used: "
        f"module '{HERE}' has no attribute 'nowhere'; name one that can be imported and called"),
    ),
    (
        [{"a": []}], {"a": {"type": "http", "scheme": "basic", "x-basicInfoFunc": "no_such_module.function"}},
        ("#/components/securitySchemes/a: its function cannot be used: "
        "No module named 'no_such_module'; name one that can be imported and called"),
    ),
    (
        [{"a": []}], {"a": {"type": "http", "scheme": "basic", "x-basicInfoFunc": f"{HERE}.NOT_CALLABLE"}},
        ("#/components/securitySchemes/a: its function cannot be used: "
        "'text' is not a callable object; name one that can be imported and called"),
    ),
    (
        [{"a": []}], {"a": {**SCHEMES["oauth"], "x-scopeValidateFunc": f"{HERE}.NOT_CALLABLE"}},
        ("#/components/securitySchemes/a: its function cannot be used: "
        "'text' is not a callable object; name one that can be imported and called"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("requirements", "schemes", "line"), REFUSED)
def test_a_requirement_that_nothing_can_verify_is_refused(requirements, schemes, line):
    with pytest.raises(DocumentError) as refused:
        Security.compile(requirements, schemes, "#/security")

    assert str(refused.value) == line


ENVIRONMENT = [
    ({"type": "http", "scheme": "basic"}, "BASICINFO_FUNC", f"{HERE}.basic", user("ada")),
    ({"type": "http", "scheme": "bearer"}, "BEARERINFO_FUNC", f"{HERE}.bearer", b"Bearer t1"),
    ({"type": "apiKey", "in": "header", "name": "Authorization"}, "APIKEYINFO_FUNC", f"{HERE}.key", b"k1"),
    ({"type": "oauth2", "flows": {}}, "TOKENINFO_FUNC", f"{HERE}.token", b"Bearer read"),
]


@pytest.mark.parametrize(("scheme", "variable", "function", "authorization"), ENVIRONMENT)
def test_the_environment_may_name_functions(scheme, variable, function, authorization, monkeypatch, runner):
    monkeypatch.setenv(variable, function)
    specification = document({"here": [{"a": []}]}, {"a": scheme}, [])
    headers = [(b"authorization", authorization)]

    ours = runner.run(our_answer(compiled(specification, "/here"), scope_of("/here", headers)))

    assert ours[0] == 200
    assert ours == runner.run(stock_answer(stock(specification), scope_of("/here", headers)))


class TokenInfo(BaseHTTPRequestHandler):
    """An authorization server that knows one token."""

    def do_GET(self):
        known = self.headers["Authorization"] == "Bearer read"
        body = json.dumps({"sub": "t", "scope": "read"}).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def token_info_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), TokenInfo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


REMOTE = [
    # credentials, stock's status, ours
    (b"Bearer read", 200, 200),
    (b"Bearer other", 401, 401),
    (b"Bearer t\xff", 500, 401),  # httpx cannot send it
    (b"Bearer t\x00", 500, 401),  # the same
]


@pytest.mark.parametrize(("authorization", "theirs", "ours"), REMOTE)
def test_tokens_are_verified_by_token_info_url(authorization, theirs, ours, token_info_url, runner):
    scheme = {"type": "oauth2", "flows": {}, "x-tokenInfoUrl": token_info_url}
    specification = document({"here": [{"a": ["read"]}]}, {"a": scheme}, [])
    headers = [(b"authorization", authorization)]

    assert runner.run(stock_answer(stock(specification), scope_of("/here", headers)))[0] == theirs
    assert runner.run(our_answer(compiled(specification, "/here"), scope_of("/here", headers)))[0] == ours


@pytest.mark.parametrize("requirements", [None, []])
def test_an_operation_without_requirements_is_open(requirements):
    assert Security.compile(requirements, SCHEMES, "#/security") is None


def test_query_parameters_that_carry_keys_are_known():
    security = Security.compile(
        [{"basic": []}, {"query": [], "query_of_request": []}, {"header": []}], SCHEMES, "#/security"
    )

    assert security.query_names == {"key", "k"}


def test_the_context_keeps_existing_values(runner):
    security = compiled(document(), "/header")
    scope = scope_of("/header", [(b"x-key", b"k1")])
    existing = {"trace": 1}
    scope["extensions"] = {"connexion_context": existing}

    context = runner.run(checked(security, scope))

    assert context == {"trace": 1, "user": "k1", "token_info": {"sub": "k1", "required": []}}
    assert context is existing


class NamedByHeader:
    """A handler whose function needs no request for a requirement of its own."""

    def get_fn(self, _scheme, _scopes):
        return self

    def __call__(self, request):
        return {"sub": request.headers["x-key"], "asked": "request"}

    def check_asgi_scope(self, scope, headers):
        return {"sub": headers[b"x-key"].decode(), "asked": scope["path"]}


@pytest.mark.parametrize(
    ("requirements", "asked"), [([{"header": []}], "/here"), ([{"header": []}, {"basic": []}], "request")]
)
def test_a_function_that_checks_a_scope_is_given_no_request(runner, requirements, asked):
    handlers = {"apiKey": NamedByHeader}
    security = Security.compile(requirements, SCHEMES, "#/security", security_map=handlers)

    context = runner.run(checked(security, scope_of("/here", [(b"x-key", b"me")])))

    assert (context["user"], context["token_info"]["asked"]) == ("me", asked)


def test_functions_are_inspected_when_the_document_is_compiled(monkeypatch, runner):
    security = compiled(document(), "/scope")
    monkeypatch.setattr("connexion.security.inspect_function_arguments", None)

    context = runner.run(checked(security, scope_of("/scope", [(b"authorization", b"Bearer read")])))

    assert context["user"] == "t"
