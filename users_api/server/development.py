"""Applications for development servers: a failed start becomes a response instead of an exit."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from users_api.server.failures import Render, render_problem


class FallbackApp:
    """Wraps an application; announces that it has started, or replaces it if its startup fails."""

    def __init__(
        self, app: ASGIApp, announce: Callable[[], None], replace: Callable[[Exception], ASGIApp]
    ) -> None:
        """Wrap the application; `replace` returns the application for the error that the startup raised."""
        self.app, self._announce, self._replace = app, announce, replace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application or its replacement."""
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            if message["type"] != "lifespan.startup.failed":
                await send(message)
            if message["type"] == "lifespan.startup.complete":
                started = True  # uvicorn logs the start before the loop's next callback.
                asyncio.get_running_loop().call_soon(self._announce)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:
            if started:
                raise
            self.app = self._replace(error)
            await self.app(scope, receive, send)


class ErrorApp:
    """Responds to every request with 503 and the reason."""

    def __init__(self, reason: str, render: Render = render_problem) -> None:
        """Render the response once."""
        self._body, headers = render(HTTPStatus.SERVICE_UNAVAILABLE, reason)
        self._headers = [*headers, (b"content-length", b"%d" % len(self._body))]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response, or complete the lifespan's start-up and shutdown."""
        if scope["type"] == "lifespan":
            await send({"type": "lifespan.startup.complete"})
            while (await receive())["type"] != "lifespan.shutdown":
                pass
            await send({"type": "lifespan.shutdown.complete"})
            return
        status = HTTPStatus.SERVICE_UNAVAILABLE
        await send({"type": "http.response.start", "status": status, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body})
