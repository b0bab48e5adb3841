"""The security requirements of an operation, compiled from the schemes and their handlers.

Connexion's own handlers check the credentials. As in Connexion, a function that is not a coroutine function
runs on the event loop, so it must not block; write a function that waits as `async def`. The function that a
handler's `get_fn` returns may have an attribute `check_asgi_scope`: if the
operation requires nothing else, it is called instead, with the ASGI scope and its headers by name, so that no
request has to be created.
"""

from asyncio import iscoroutine
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Self

from connexion.exceptions import OAuthProblem
from connexion.lifecycle import ConnexionRequest
from connexion.security import (
    NO_VALUE,
    AbstractSecurityHandler,
    ApiKeySecurityHandler,
    BasicSecurityHandler,
    BearerSecurityHandler,
    OAuthSecurityHandler,
    SecurityHandlerFactory,
)
from starlette.datastructures import Headers, QueryParams
from starlette.types import Scope

from users_api.engine.connexion_internals import CONTEXT_KEY, InspectOnceMixin
from users_api.engine.cookies import parse_cookies
from users_api.engine.failures import DocumentError

Verify = Callable[[ConnexionRequest], Any]

_SCOPED: Final = ("oauth2", "openIdConnect")
_FUNCTIONS: Final = {
    "basic": "x-basicInfoFunc",
    "bearer": "x-bearerInfoFunc",
    "apiKey": "x-apikeyInfoFunc",
    "oauth2": "x-tokenInfoFunc or x-tokenInfoUrl",
    "openIdConnect": "x-tokenInfoFunc or x-tokenInfoUrl",
}


class Security:
    """The security requirements of one operation; a request must meet one of them."""

    def __init__(self, alternatives: Sequence[Verify], query_names: frozenset[str]) -> None:
        """Store the functions that verify a request, and the names of the API keys' query parameters."""
        verify = alternatives[0] if len(alternatives) == 1 else _first_of(alternatives)
        self._verify = getattr(verify, "check_asgi_scope", None) or _with_request(verify)
        self.query_names = query_names

    @classmethod
    def compile(
        cls,
        requirements: Sequence[Mapping[str, Sequence[str]]] | None,
        schemes: Mapping[str, Any],
        pointer: str,
        *,
        security_map: Mapping[str, type[AbstractSecurityHandler]] | None = None,
    ) -> Self | None:
        """Return the compiled requirements, or None if the operation requires no credentials.

        `pointer` is that of the requirements; references to schemes are resolved. A requirement without a
        handler raises DocumentError.
        """
        if not requirements:
            return None
        compiler = _Compiler(schemes, pointer, security_map or {})
        alternatives = [compiler.alternative(*each) for each in enumerate(requirements)]
        return cls(alternatives, query_names(requirements, schemes))

    def check(self, scope: Scope, headers: dict[bytes, bytes]) -> Awaitable[None] | None:
        """Set `user` and `token_info` in `connexion.context`; return an awaitable if the check has to wait.

        `token_info` is also in the scope, for the server's report. `headers` are those of the scope by name;
        for a repeated name the last value.

        Raises OAuthProblem (401) without valid credentials, OAuthScopeProblem (403) without the scopes, and
        what a handler raises.
        """
        info = self._verify(scope, headers)
        if type(info) is not dict or "extensions" in scope:
            return self._finish(scope, info)
        # The fast path of `check_asgi_scope`: the result is ready, and there are no extensions yet.
        user = info.get("sub", info.get("uid"))
        scope["extensions"] = {CONTEXT_KEY: {"user": user, "token_info": info}}
        scope["token_info"] = info
        return None

    async def check_and_wait(self, scope: Scope) -> None:
        """Do what `check` does, and wait for the result."""
        if pending := self.check(scope, dict(scope["headers"])):
            await pending

    @staticmethod
    async def _finish(scope: Scope, info: Any) -> None:
        while iscoroutine(info):
            info = await info
        if info is NO_VALUE:
            raise OAuthProblem(detail="No authorization token provided")
        context = scope.setdefault("extensions", {}).setdefault(CONTEXT_KEY, {})
        context["user"], context["token_info"] = info.get("sub", info.get("uid")), info
        scope["token_info"] = info


def _with_request(verify: Verify) -> Callable[[Scope, dict[bytes, bytes]], Any]:
    """Return a function that takes a scope and its headers, for one that takes a request."""
    return lambda scope, _headers: verify(_LazyRequest(scope))


def _first_of(alternatives: Sequence[Verify]) -> Verify:
    """Return a function that lets Connexion choose one of several requirements, or an error of theirs."""
    choose = SecurityHandlerFactory.verify_security(alternatives)

    async def verify(request: ConnexionRequest) -> Any:
        await choose(request)
        return request.context["token_info"]

    return verify


def query_names(
    requirements: Sequence[Mapping[str, Sequence[str]]] | None, schemes: Mapping[str, Any]
) -> frozenset[str]:
    """Return the names of the query parameters that carry API keys."""
    used = [schemes[name] for requirement in requirements or () for name in requirement]
    return frozenset(
        scheme["name"] for scheme in used if scheme["type"] == "apiKey" and scheme["in"] == "query"
    )


class _Compiler:
    """Compiles the requirements of one operation into functions that verify requests."""

    def __init__(self, schemes: Mapping[str, Any], pointer: str, security_map: Mapping[str, Any]) -> None:
        self._schemes, self._pointer = schemes, pointer
        self._factory = SecurityHandlerFactory({**_HANDLERS, **security_map})

    def alternative(self, place: int, requirement: Mapping[str, Sequence[str]]) -> Verify:
        """Return the function that verifies that a request meets one requirement completely."""
        verifiers = {name: self._verifier(place, name, scopes) for name, scopes in requirement.items()}
        match list(verifiers.values()):
            case []:
                verify: Verify = self._factory.verify_none
            case [only]:
                verify = only
            case _:
                verify = self._factory.verify_multiple_schemes(verifiers)
        return verify

    def _verifier(self, place: int, name: str, scopes: Sequence[str]) -> Verify:
        pointer = f"{self._pointer}/{place}/{_escape_pointer(name)}"
        scheme = self._schemes.get(name)
        if scheme is None:
            raise DocumentError(
                pointer, "there is no such security scheme", "declare it in #/components/securitySchemes"
            )
        if scopes and scheme["type"] not in _SCOPED:
            raise DocumentError(pointer, "only oauth2 and openIdConnect schemes have scopes", "write []")
        return self._handled(f"#/components/securitySchemes/{_escape_pointer(name)}", scheme, scopes)

    def _handled(self, pointer: str, scheme: Mapping[str, Any], scopes: Sequence[str]) -> Verify:
        try:
            verify: Verify | None = self._factory.parse_security_scheme(dict(scheme), list(scopes))
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            instead = "name one that can be imported and called"
            raise DocumentError(pointer, f"its function cannot be used: {error}", instead) from error
        if verify is None:
            raise DocumentError(pointer, "nothing verifies this security scheme", _handler_hint(scheme))
        return verify


def _handler_hint(scheme: Mapping[str, Any]) -> str:
    kind = scheme["scheme"].lower() if scheme["type"] == "http" else scheme["type"]
    function = "x-bearerInfoFunc" if "x-authentication-scheme" in scheme else _FUNCTIONS.get(kind)
    handler = f"give a handler for {kind} in security_map"
    return f"name a function in {function}, or {handler}" if function else handler


def _escape_pointer(name: str) -> str:
    """Return the name escaped for a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


class _LazyRequest(ConnexionRequest):
    """A request with only headers, query and context; everything else is created on access."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    @property
    def headers(self) -> Headers:
        """The headers."""
        return Headers(scope=self.scope)

    @property
    def context(self) -> dict[str, Any]:
        """The results of the security handlers; the same object as `connexion.context`."""
        context: dict[str, Any] = self.scope.setdefault("extensions", {}).setdefault(CONTEXT_KEY, {})
        return context

    @property
    def query_params(self) -> QueryParams:  # type: ignore[override]  # Connexion's request has the same type.
        """The query parameters; for a repeated name the last value."""
        return QueryParams(self.scope["query_string"])

    def __getattr__(self, name: str) -> Any:
        return getattr(ConnexionRequest(self.scope), name)


class _Basic(InspectOnceMixin, BasicSecurityHandler):
    pass


class _Bearer(InspectOnceMixin, BearerSecurityHandler):
    pass


class _ApiKey(InspectOnceMixin, ApiKeySecurityHandler):
    @staticmethod
    def get_cookie_value(cookies: str | None, name: str) -> str | None:
        """Return the cookie's value; Connexion's parser fails if another cookie has an unusual name."""
        return parse_cookies(cookies or "").get(name)


class _OAuth(InspectOnceMixin, OAuthSecurityHandler):
    @classmethod
    def get_scope_validate_func(cls, security_definition: dict[str, Any]) -> Callable[..., Any]:
        """Reject objects that are not callable at startup."""
        validate: Callable[..., Any] = super().get_scope_validate_func(security_definition)  # type: ignore[no-untyped-call]
        if not callable(validate):
            message = f"{validate!r} is not a callable object"
            raise TypeError(message)
        return validate

    def get_token_info_remote(self, token_info_url: str) -> Callable[..., Any]:
        """Reject a token that no HTTP client can forward."""
        ask = super().get_token_info_remote(token_info_url)

        async def token_info(token: str) -> Any:
            return await ask(token) if token.isascii() and token.isprintable() else None

        return token_info


_HANDLERS: Final = {
    "basic": _Basic,
    "bearer": _Bearer,
    "apiKey": _ApiKey,
    "oauth2": _OAuth,
    "openIdConnect": _OAuth,
}
