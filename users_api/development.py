"""The development server's application, which reports errors in the code or the document instead of exiting.

uvicorn imports this module in a new process on each reload. The modules that are most likely to break are
therefore imported inside `try` blocks.
"""

import logging
import os
import traceback
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click
from starlette.types import ASGIApp
from yaml import MarkedYAMLError

from users_api.observability.configuration import Logs
from users_api.security_headers import HTTPS_HEADERS
from users_api.server.configuration import ServerOptions
from users_api.server.development import ErrorApp, FallbackApp
from users_api.server.protocol import Protocol
from users_api.serving import render_failure, server_options

PACKAGE: Final = Path(__file__).parent
STARTUP_MESSAGE_VARIABLE: Final = (
    "USERS_API_STARTED"  # This variable holds the text that is printed after each start.
)
logger: Final = logging.getLogger("uvicorn.error")


def create_app() -> ASGIApp:
    """Return the application, or one that responds with the error if it cannot be created."""
    try:
        _configure_logs()
        app: ASGIApp = import_module("users_api.app").create_app()
    except Exception as error:  # noqa: BLE001 -- code under development raises any exception.
        return _error_app(error)
    announce = partial(click.echo, os.environ[STARTUP_MESSAGE_VARIABLE], err=True)
    return FallbackApp(app, announce, replace=_error_app)


def _configure_logs() -> None:
    settings = import_module("users_api.config").load_settings()
    Logs(settings.LOG_FORMAT).configure(settings.LOG_LEVEL)


def _error_app(error: Exception) -> ErrorApp:
    reason = describe_error(error)
    logger.error(reason)
    return ErrorApp(reason, render_failure)


def create_protocol(**options: Any) -> Protocol:
    """Return the protocol for a new connection, with the limits from the settings."""
    return _protocol_factory()(**options)


@cache
def _protocol_factory() -> Callable[..., Protocol]:
    try:
        return server_options(import_module("users_api.config").load_settings()).protocol
    except Exception:  # noqa: BLE001 -- the application reports this error and needs a protocol to do so.
        return ServerOptions(render=render_failure, https_headers=HTTPS_HEADERS).protocol


def describe_error(error: Exception) -> str:
    """Return the error in one line, with the file and the line number where they are known."""
    if isinstance(error, SyntaxError):
        return f"{_relative_path(error.filename)}, line {error.lineno}: {error.msg}"
    if isinstance(error, MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return f"{_relative_path(mark.name)}, line {mark.line + 1}: {error.problem}"
    if type(error).__module__.startswith("users_api."):  # The service's own errors name their cause.
        return _message_in_one_line(error)
    return f"{_location(error)}: {type(error).__name__}: {_message_in_one_line(error)}"


def _location(error: Exception) -> str:
    """Return the innermost line of the service's code in the traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if PACKAGE in Path(frame.filename).parents]
    frame = own[-1]
    return f"{_relative_path(frame.filename)}, line {frame.lineno}"


def _relative_path(name: str | None) -> str:
    path = Path(name or "")
    return str(path.relative_to(PACKAGE.parent)) if PACKAGE.parent in path.parents else str(path)


def _message_in_one_line(error: Exception) -> str:
    return " ".join(str(error).split()).removeprefix(f"{PACKAGE.parent}{os.sep}")
