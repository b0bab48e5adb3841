"""Connexion's two nets under the application, which cost nothing before something falls."""

from typing import Any

from connexion.middleware.exceptions import ExceptionMiddleware
from connexion.middleware.server_error import ServerErrorMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send


class Net:
    """Mixed into a middleware that answers exceptions, it calls the application directly, and the middleware once there is one.

    Starlette prepares for the exception with each request, and looks at each message of the answer on its way out.
    """

    def __init__(self, next_app: ASGIApp, **options: Any) -> None:
        """Stand before the application; the middleware stands before one that raises what this one has raised."""
        super().__init__(_raise, **options)  # type: ignore[call-arg]  # the middleware takes it.
        self._next_app = next_app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        try:
            await self._next_app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 -- the middleware raises what it does not answer.
            await super().__call__({**scope, "failure": error}, receive, send)  # type: ignore[misc]  # the middleware has it.


class Failures(Net, ExceptionMiddleware):
    """Answers each exception by the handler that is registered for it."""


class Faults(Net, ServerErrorMiddleware):
    """Answers what happens outside of the other net, or in a handler of its."""


async def _raise(scope: Scope, _receive: Receive, _send: Send) -> None:
    raise scope["failure"]
