"""The server's options for this service, and the format of the server's error responses."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import orjson

from users_api.observability.configuration import Logs
from users_api.observability.recorder import end_worker, start_worker
from users_api.observability.trace_settings import shared_tracing
from users_api.security_headers import HTTPS_HEADERS, NOT_STORED
from users_api.server.configuration import ServerOptions
from users_api.server.failures import Headers
from users_api.server.protocol import Limits

if TYPE_CHECKING:  # The development server imports this module while config.py may be broken.
    from users_api.config import Config

SPARE_DESCRIPTORS: Final = 128  # For sockets, pipes and log files of a worker, and files that it reads.

FAILURE_HEADERS: Final[Headers] = [(b"content-type", b"application/json"), *NOT_STORED]


def render_failure(status: HTTPStatus, message: str) -> tuple[bytes, Headers]:
    """Return the body and the headers of an error response, as `envelope.failure` does."""
    outcome = "error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "fail"
    return orjson.dumps({"status": outcome, "message": message}), FAILURE_HEADERS


def server_options(settings: "type[Config]") -> ServerOptions:
    """Return the server's options for these settings."""
    logs = Logs(settings.LOG_FORMAT)
    return ServerOptions(
        port=settings.PORT,
        workers=settings.WEB_CONCURRENCY,
        max_connections=settings.CLIENT_CONNECTIONS,
        keep_alive_seconds=settings.KEEP_ALIVE,
        graceful_seconds=settings.GRACEFUL_TIMEOUT,
        other_descriptors=settings.POOL_SIZE + SPARE_DESCRIPTORS,
        limits=Limits(
            head_bytes=settings.HEAD_LIMIT,
            head_seconds=settings.HEAD_TIMEOUT,
            send_seconds=settings.SEND_TIMEOUT,
            memory_bytes=settings.MEMORY_BUDGET,
        ),
        render=render_failure,
        https_headers=HTTPS_HEADERS,
        observer=logs.observer(shared_tracing()),
        log_level=settings.LOG_LEVEL,
        log_handler=logs.handler(),
        on_worker_start=start_worker,
        on_worker_exit=end_worker,
    )
