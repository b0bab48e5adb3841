"""Flask's own features: a program's routes, and hooks, sessions and extensions for every request."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from asgiref.sync import async_to_sync
from connexion.frameworks.flask import flaskify_endpoint, flaskify_path
from flask import Blueprint, Flask, request
from starlette.types import Scope
from werkzeug.exceptions import HTTPException, NotFound

from users_api.engine.api import Api
from users_api.engine.calls import RunFunction, await_if_needed
from users_api.engine.contexts import (
    call_wsgi,
    can_pass_through_wsgi,
    headers_only_response,
    to_werkzeug,
    uses_hooks,
)
from users_api.engine.operation import Operation
from users_api.engine.responses import Response

NON_WORD: Final = re.compile(r"\W")
PARAMETER: Final = re.compile(r"\{([^}]+)\}")
ACCEPTED: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]*")  # Connexion replaces the dashes.


class FlaskRoutes:
    """The Flask application behind the engine: the documents' paths for `url_for`, and the program's."""

    def __init__(self, app: Flask, wsgi_middlewares: Sequence[Callable[[Any], Any]]) -> None:
        """Wrap the application in the program's WSGI middleware."""
        self.app = app
        self.wsgi: Callable[..., Iterable[bytes]] = app.wsgi_app
        for middleware in wsgi_middlewares:
            self.wsgi = middleware(self.wsgi)
        self.sees_every_request = bool(wsgi_middlewares) or uses_hooks(app)
        self._endpoints: set[str] = set()

    def add_api(self, api: Api, operations: Sequence[Operation]) -> None:
        """Register the operations as Connexion does: in a blueprint named after the base path."""
        name = flaskify_endpoint(api.base_path) or "/"
        blueprint = Blueprint(name, __name__, url_prefix=api.base_path)
        for operation in operations:
            path = flaskify_path(*_with_identifiers(operation.path, operation.path_types))
            view = partial(_view, self.app, operation)
            blueprint.add_url_rule(path, _endpoint(operation), view, methods=[operation.method.upper()])
        known = set(self.app.view_functions)
        self.app.register_blueprint(blueprint, name=api.name or name)
        added = set(self.app.view_functions) - known
        self._endpoints |= added
        rules = {
            rule.endpoint.rpartition(".")[2]: rule
            for rule in self.app.url_map.iter_rules()
            if rule.endpoint in added
        }
        for operation in operations:
            operation.rule = rules[_endpoint(operation)]

    def answers_unknown_paths(self) -> bool:
        """Return whether the program has a Flask error handler for 404."""
        handlers = self.app.error_handler_spec[None]
        return NotFound.code in handlers or any(issubclass(NotFound, kind) for kind in handlers[None])

    def has_own_rules(self) -> bool:
        """Return whether the program has routes in addition to the documents' paths."""
        return any(rule.endpoint not in self._endpoints for rule in self.app.url_map.iter_rules())

    def has(self, scope: Scope) -> bool:
        """Return whether a route of the program matches, even with another method or by a redirect."""
        try:
            rule, _ = self.app.url_map.bind("localhost").match(
                scope["path"], scope["method"], return_rule=True
            )
        except NotFound:
            return False
        except HTTPException:
            return True
        return rule.endpoint not in self._endpoints

    async def respond(self, scope: Scope, body: bytes, run_plain: RunFunction) -> Response:
        """Return Flask's response."""
        response: Response = await run_plain(partial(call_wsgi, self.wsgi, scope, body))
        return response


def _with_identifiers(path: str, types: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the path and the types with numbers for those names that werkzeug does not accept."""
    names = {
        name: name if ACCEPTED.fullmatch(name) else f"parameter_{number}" for number, name in enumerate(types)
    }
    renamed = PARAMETER.sub(lambda found: f"{{{names.get(found[1], found[1])}}}", path)
    return renamed, {names[name]: kind for name, kind in types.items()}


def _endpoint(operation: Operation) -> str:
    return flaskify_endpoint(operation.operation_id) or NON_WORD.sub("_", operation.metric_name)


def _view(app: Flask, operation: Operation, **_texts: Any) -> Any:
    """Call the operation's handler as a view, with the arguments that the engine has checked."""
    arguments = request.environ["asgi.scope"]["arguments"]
    returned = operation.function(**arguments)
    if operation.handler.is_async:
        returned = async_to_sync(await_if_needed)(returned)
    response = operation.responses.convert(returned)
    if can_pass_through_wsgi(response):
        return to_werkzeug(app, response)
    request.environ["asgi.scope"]["response"] = response
    return headers_only_response(app, response)
