"""The page "security" of Connexion's documentation."""

from collections.abc import Callable
from typing import Any

from connexion.context import context as current_context
from connexion.exceptions import OAuthProblem
from connexion.lifecycle import ConnexionRequest
from connexion.security import AbstractSecurityHandler

from tests.engine.connexion_pages.comparing import (
    assert_same_outcomes,
    get,
    op,
)
from tests.engine.programs import document


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
