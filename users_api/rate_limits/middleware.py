"""ASGI middleware that rejects requests beyond the rate limits."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from users_api.rate_limits.limits import Decision


class Limiter(Protocol):
    """Counts requests."""

    async def hit(self, key: str) -> Decision:
        """Count a request of the key, if it is allowed."""


class Rejection(Protocol):
    """A response, such as the engine's."""

    async def send(self, scope: Scope, send: Send, receive: Receive) -> None:
        """Send it."""


class RateLimitMiddleware:
    """Decides before the body is read, and adds the fields of the decision to every response."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        path_suffixes: tuple[str, ...] = ("",),
        limiter: Callable[[Scope], Limiter | None],
        identify: Callable[[Scope], Awaitable[str]],
        reject: Callable[[Scope, Decision], Rejection],
    ) -> None:
        """Wrap the application.

        `limiter` returns what counts a request, or None for one that has no limits; `identify` returns the
        key by which it is counted, and `reject` the response 429 without the fields, which are added to it.
        `path_suffixes` are suffixes of the paths that may be limited; other requests bypass `limiter`.
        """
        self._app, self._limiter, self._identify, self._reject = app, limiter, identify, reject
        self._path_suffixes = path_suffixes

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the application, if the request is allowed."""
        if not scope.get("path", "").endswith(self._path_suffixes):
            return self._app(scope, receive, send)
        return self._count(scope, receive, send)

    async def _count(self, scope: Scope, receive: Receive, send: Send) -> None:
        limiter = self._limiter(scope) if scope["type"] == "http" else None
        if limiter is None:
            await self._app(scope, receive, send)
            return
        decision = await limiter.hit(await self._identify(scope))
        send = _adding(decision.fields, send) if decision.fields else send
        if decision.allowed:
            await self._app(scope, receive, send)
        else:
            await self._reject(scope, decision).send(scope, send, receive)


def _adding(fields: list[tuple[bytes, bytes]], send: Send) -> Send:
    """Return a `send` that adds the fields to the response's head."""

    def send_with_fields(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *fields]}
        return send(message)

    return send_with_fields
