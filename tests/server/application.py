"""A minimal ASGI application, and gunicorn's configuration for it."""

import os
from types import SimpleNamespace
from typing import Any

from users_api.server.configuration import ServerOptions, gunicorn_settings
from users_api.server.metrics import Metrics, MetricsMiddleware

HELLO = SimpleNamespace(metric_name="hello", index=0)
metrics = Metrics(["hello"])


async def respond(scope: Any, receive: Any, send: Any) -> None:
    """Respond with the metrics, or with the worker's process."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    body = metrics.text().encode()
    if scope["path"] == "/":
        scope["operation"], body = HELLO, b"%d" % os.getpid()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
    )
    await send({"type": "http.response.body", "body": body})


application = MetricsMiddleware(respond, metrics)
globals().update(gunicorn_settings(ServerOptions(port=int(os.environ["TEST_PORT"]))))
