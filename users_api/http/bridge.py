"""From ASGI to the handlers and back, without threads: each request runs in a greenlet on the event loop.

The stock bridge (a2wsgi) crosses threads three times a request and has ten of them. Here a request that waits for PostgreSQL
leaves the loop to the others (`users_api/greenlets.py`).
"""

from functools import partial
from typing import Any

from connexion import FlaskApp
from connexion.apps.flask import FlaskApi, FlaskASGIApp
from connexion.context import context
from connexion.middleware.abstract import ROUTING_CONTEXT
from connexion.operations import AbstractOperation
from connexion.spec import Specification
from flask import Flask, Response
from starlette.types import Receive, Scope, Send

from users_api.greenlets import in_fiber


class Operation:
    """A Flask view that calls the operation's handler with the arguments that the validators left.

    Connexion's own rebuilds three decorators for each request, parses the body again and passes no headers.
    """

    def __init__(self, operation: AbstractOperation) -> None:
        """Take the handler that Connexion's resolver found."""
        self.handler = operation.function

    def __call__(self, **path: Any) -> Response:
        """Answer the request."""
        response: Response = self.handler(**path, **context["arguments"])
        return response


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

    def __init__(self, app: Flask) -> None:
        """Wrap the Flask application that Connexion has made."""
        self.app = app
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
        response = await in_fiber(partial(self._answer, operation, scope["path_params"]))
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
        body = b"" if scope["method"] == "HEAD" else response.get_data()
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, operation: Operation, path: dict[str, Any]) -> Response:
        with self.app.app_context():
            return operation(**path)


class BridgedApp(FlaskApp):
    """Connexion's FlaskApp with this bridge in the place of a2wsgi's."""

    def __init__(self, import_name: str, **options: Any) -> None:
        """Take FlaskApp's arguments."""
        super().__init__(import_name, **options)
        self._middleware_app = self.middleware.app = Bridge(self.app)
