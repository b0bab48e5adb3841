"""From ASGI to the handlers and back, without threads: each request runs in a greenlet on the event loop.

The stock bridge (a2wsgi) crosses threads three times a request and has ten of them. Here a request that waits for PostgreSQL
leaves the loop to the others (`users_api/greenlets.py`).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from connexion import FlaskApp
from connexion.apps.flask import FlaskApi, FlaskASGIApp
from connexion.middleware.abstract import ROUTING_CONTEXT
from connexion.operations import AbstractOperation
from connexion.spec import Specification
from flask import Flask
from starlette.types import Receive, Scope, Send

from users_api.answers import Answer
from users_api.greenlets import in_fiber


class Operation:
    """An operation's handler, in the place of Connexion's view.

    That one rebuilds three decorators for each request, parses the body again and passes no headers.
    """

    def __init__(self, operation: AbstractOperation) -> None:
        """Take the handler that Connexion's resolver found."""
        self.handler = operation.function

    def __call__(self, **arguments: Any) -> Answer:
        """Answer the request whose arguments the validators have left."""
        answer: Answer = self.handler(**arguments)
        return answer


class Api(FlaskApi):
    """The document's routes in Flask, and its operations by their ids."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take FlaskApi's arguments."""
        self.operations: dict[str, Operation] = {}
        super().__init__(*arguments, **options)

    def make_operation(self, operation: AbstractOperation) -> Operation:
        """Return the view of an operation."""
        return self.operations.setdefault(operation.operation_id, Operation(operation))


class Bridge(FlaskASGIApp):
    """The innermost ASGI application: calls the handlers in Flask's application context.

    Connexion has matched the route and checked the request; Flask's own dispatch would parse and match it once more and cost a
    simple request half of its time. So Flask's request hooks do not run: what is to see every request is ASGI middleware, which
    sees the refused ones too.
    """

    def __init__(self, app: Flask, request_seconds: float) -> None:
        """Wrap the Flask application that Connexion has made; a request waits for its database so long and no longer."""
        self.app, self._seconds = app, request_seconds
        self._operations: dict[str, Operation] = {}

    def add_api(self, specification: Specification, *, name: str | None = None, **options: Any) -> Api:
        """Register the document's operations."""
        api = Api(specification, **options)
        self.app.register_blueprint(api.blueprint, name=name or api.blueprint.name)
        self._operations |= api.operations
        return api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 -- the validators have taken the body.
        """Answer one request."""
        operation = self._operations[scope["extensions"][ROUTING_CONTEXT]["operation_id"]]
        answer = await in_fiber(partial(self._answer, operation, scope["arguments"]), self._seconds)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    def _answer(self, operation: Operation, arguments: dict[str, Any]) -> Answer:
        with self.app.app_context():
            return operation(**arguments)


class BridgedApp(FlaskApp):
    """Connexion's FlaskApp with this bridge in the place of a2wsgi's."""

    def __init__(self, import_name: str, *, request_seconds: float, **options: Any) -> None:
        """Take FlaskApp's arguments, and how long a request may wait."""
        super().__init__(import_name, **options)
        self.app.ensure_sync = _as_it_is  # type: ignore[method-assign,assignment]  # Flask has it overridden, and Connexion makes the Flask.

        self._middleware_app = self.middleware.app = Bridge(self.app, request_seconds)


def _as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function: none of Flask's hooks is a coroutine here, and Flask would make sure of that once a request."""
    return function
