"""From ASGI to Flask and back, without threads: each request's WSGI call runs in a greenlet on the event loop.

The stock bridge (a2wsgi) crosses threads three times a request and has ten of them. Here a request that waits for PostgreSQL
leaves the loop to the others (`users_api/greenlets.py`).
"""

from io import BytesIO
from typing import Any, cast

from a2wsgi.wsgi import build_environ
from connexion import FlaskApp
from connexion.apps.flask import FlaskApi, FlaskASGIApp
from connexion.context import context
from connexion.operations import AbstractOperation
from connexion.spec import Specification
from flask import Flask, Response
from sqlalchemy.util import greenlet_spawn
from starlette.types import Receive, Scope, Send
from werkzeug.test import run_wsgi_app


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
    """The document's routes in Flask."""

    def make_operation(self, operation: AbstractOperation) -> Operation:
        """Return the view of an operation."""
        return Operation(operation)


class Bridge(FlaskASGIApp):
    """The innermost ASGI application: Flask."""

    def __init__(self, app: Flask) -> None:
        """Wrap the Flask application that Connexion has made."""
        self.app = app

    def add_api(self, specification: Specification, *, name: str | None = None, **options: Any) -> Api:
        """Register the document's operations with Flask."""
        api = Api(specification, **options)
        self.app.register_blueprint(api.blueprint, name=name or api.blueprint.name)
        return api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        message = await receive()
        environ = build_environ(cast("Any", scope), cast("Any", BytesIO(message["body"])))
        chunks, status, headers = await greenlet_spawn(run_wsgi_app, self.app.wsgi_app, environ, buffered=True)
        body = b"" if scope["method"] == "HEAD" else b"".join(chunks)
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": int(status[:3]), "headers": raw})
        await send({"type": "http.response.body", "body": body})


class BridgedApp(FlaskApp):
    """Connexion's FlaskApp with this bridge in the place of a2wsgi's."""

    def __init__(self, import_name: str, **options: Any) -> None:
        """Take FlaskApp's arguments."""
        super().__init__(import_name, **options)
        self._middleware_app = self.middleware.app = Bridge(self.app)
