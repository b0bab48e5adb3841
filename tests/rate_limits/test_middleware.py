"""Requests that the middleware passes, and those that it rejects."""

import asyncio
from typing import Any

import pytest

from users_api.engine.responses import Response
from users_api.rate_limits.limits import UNCOUNTED, Decision
from users_api.rate_limits.middleware import RateLimitMiddleware

FIELDS = [(b"ratelimit-policy", b'"1-per-day";q=1;w=86400'), (b"ratelimit", b'"1-per-day";r=0;t=5')]
ALLOWED = Decision(allowed=True, fields=FIELDS, retry_after=0)
REJECTED = Decision(allowed=False, fields=[*FIELDS, (b"retry-after", b"5")], retry_after=5)
BODY = b'{"message":"Too many requests."}'
SHARED_HEADERS = [(b"content-type", b"text/plain")]


class Limiter:
    """A limiter that always decides the same."""

    def __init__(self, decision: Decision) -> None:
        self.decision, self.keys = decision, []

    async def hit(self, key: str) -> Decision:
        self.keys.append(key)
        return self.decision


async def identify(scope: Any) -> str:
    """Return the key of the client."""
    return f"address:{scope['client'][0]}"


def reject(_scope: Any, decision: Decision) -> Response:
    """Return the response to a rejected request."""
    return Response.json({"message": "Too many requests."}, 429, [(b"x-wait", b"%d" % decision.retry_after)])


async def application(scope: Any, _receive: Any, send: Any) -> None:
    """Respond, or do nothing outside of requests."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": SHARED_HEADERS})
        await send({"type": "http.response.body", "body": b"o", "more_body": True})
        await send({"type": "http.response.body", "body": b"k"})


def messages(
    limiter: Limiter | None,
    app: Any = application,
    *,
    path_suffixes: tuple[str, ...] = ("",),
    **differences: Any,
) -> list[dict[str, Any]]:
    """Return the messages of the response to a request whose body never arrives."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def request() -> None:
        scope = {"type": "http", "method": "POST", "client": ("192.0.2.1", 1), "headers": []} | differences
        middleware = RateLimitMiddleware(
            app, path_suffixes=path_suffixes, limiter=lambda _: limiter, identify=identify, reject=reject
        )
        await middleware(scope, asyncio.Event().wait, send)

    asyncio.run(request())
    return sent


@pytest.mark.parametrize(("path", "keys"), [("/users", []), ("/api/token", ["address:192.0.2.1"])])
def test_only_paths_with_these_suffixes_are_counted(path: str, keys: list[str]) -> None:
    limiter = Limiter(ALLOWED)

    messages(limiter, path_suffixes=("/token", "/keys"), path=path)

    assert limiter.keys == keys


def test_an_allowed_request_is_answered_with_the_fields() -> None:
    limiter = Limiter(ALLOWED)

    sent = messages(limiter)

    assert sent == [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/plain"), *FIELDS],
        },
        {"type": "http.response.body", "body": b"o", "more_body": True},
        {"type": "http.response.body", "body": b"k"},
    ]
    assert limiter.keys == ["address:192.0.2.1"]


def test_headers_that_responses_share_are_not_changed() -> None:
    messages(Limiter(ALLOWED))

    assert SHARED_HEADERS == [(b"content-type", b"text/plain")]


@pytest.mark.parametrize(("method", "body"), [("POST", BODY), ("HEAD", b"")])
def test_a_rejected_request_is_answered_before_its_body_arrives(method, body) -> None:
    sent = messages(Limiter(REJECTED), method=method)

    assert sent == [
        {
            "type": "http.response.start",
            "status": 429,
            "headers": [
                (b"content-type", b"application/json"),
                (b"x-wait", b"5"),
                (b"content-length", b"%d" % len(BODY)),
                *FIELDS,
                (b"retry-after", b"5"),
            ],
        },
        {"type": "http.response.body", "body": body},
    ]


def test_a_rejected_request_does_not_reach_the_application() -> None:
    assert messages(Limiter(REJECTED), app=None)[0]["status"] == 429


@pytest.mark.parametrize("limiter", [None, Limiter(UNCOUNTED)])
def test_a_request_that_is_not_counted_is_answered_without_the_fields(limiter) -> None:
    sent = messages(limiter)

    assert sent[0] == {"type": "http.response.start", "status": 200, "headers": SHARED_HEADERS}


def test_a_response_may_have_no_headers() -> None:
    async def bare(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204})

    assert messages(Limiter(ALLOWED), bare)[0]["headers"] == FIELDS


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
def test_only_http_requests_are_counted(kind) -> None:
    limiter = Limiter(REJECTED)

    assert messages(limiter, type=kind) == []
    assert limiter.keys == []
