"""Runs a handler on the event loop, in a thread, with `run_plain`, or behind Flask."""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from connexion.exceptions import ProblemException
from connexion.frameworks.flask import FlaskJSONProvider
from connexion.jsonifier import Jsonifier
from connexion.lifecycle import ConnexionResponse
from flask import Flask
from starlette.types import Scope

from users_api.engine.calls import Handler, RunFunction, ThreadPoolRunner, await_if_needed, blocking_reporter
from users_api.engine.contexts import await_in_context, call_in_context, call_wsgi, with_headers
from users_api.engine.coroutines import run_and_report
from users_api.engine.responses import Response
from users_api.engine.return_values import Responses

PROBLEM: Final = "application/problem+json"
Run = Callable[[Scope, bytes, dict[str, Any]], Awaitable[Response]]


class RunnerFactory:
    """Creates the coroutine function that runs a handler.

    `wsgi` is set if Flask, or middleware around it, must see every request. With `raise_problems`, a
    `connexion.problem` that a handler returns is treated as if it were raised.
    """

    def __init__(  # noqa: PLR0913 -- all but the application are keywords.
        self,
        app: Flask,
        *,
        run_plain: RunFunction,
        threads: ThreadPoolRunner,
        wsgi: Callable[..., Any] | None,
        raise_problems: bool,
        on_blocking: Callable[[str], None] | None = None,
    ) -> None:
        """Store the runners of functions, and what is called with the operationId of one that blocks."""
        self._on_blocking = on_blocking
        self._app, self._run_plain, self._threads, self._wsgi = app, run_plain, threads, wsgi
        self._raise_problems = raise_problems
        # As Connexion's.
        self.jsonifier = None if type(app.json) is FlaskJSONProvider else Jsonifier(app.json, indent=2)

    def make(self, handler: Handler, responses: Responses, operation_id: str) -> Run:
        """Return the coroutine function that runs this handler and returns its response."""
        run_plain = self._threads if handler.in_thread else self._run_plain
        app, function, convert = self._app, handler.function, responses.convert
        if self._raise_problems:
            convert = partial(_convert_or_raise, convert)
        wsgi: Any = self._wsgi
        report = blocking_reporter(operation_id, self._on_blocking)

        def call(arguments: dict[str, Any]) -> Any:
            returned = function(**arguments)
            if type(returned) is Response:
                return returned
            return returned if isinstance(returned, Awaitable) else convert(returned)

        async def call_async(arguments: dict[str, Any]) -> Response:
            return convert(await await_if_needed(function(**arguments)))

        async def on_loop(scope: Scope, body: bytes, arguments: dict[str, Any]) -> Response:
            running = await_in_context(app, scope, body, call_async, arguments)
            response: Response = await run_and_report(running, report)
            return response

        async def plain(scope: Scope, body: bytes, arguments: dict[str, Any]) -> Response:
            running = run_plain(partial(call_in_context, app, scope, body, call, arguments))
            response = await (running if run_plain is self._threads else run_and_report(running, report))
            return response if isinstance(response, Response) else convert(await await_if_needed(response))

        async def behind_flask(scope: Scope, body: bytes, arguments: dict[str, Any]) -> Response:
            scope["arguments"] = arguments
            response: Response = await run_plain(partial(call_wsgi, wsgi, scope, body))
            beside: Response | None = scope.get("response")
            return with_headers(beside, response) if beside and beside.status == response.status else response

        if wsgi:
            return behind_flask
        return on_loop if handler.is_async else plain


def _convert_or_raise(convert: Callable[[Any], Response], returned: Any) -> Response:
    """Raise a problem that the handler returned; convert anything else."""
    if isinstance(returned, ConnexionResponse) and returned.mimetype == PROBLEM:
        members = json.loads(returned.body)
        standard = {
            name: members.pop(name, None) for name in ("status", "title", "detail", "type", "instance")
        }
        headers = {name: value for name, value in returned.headers.items() if name.lower() != "content-type"}
        raise ProblemException(**standard, headers=headers, ext=members or None)
    return convert(returned)
