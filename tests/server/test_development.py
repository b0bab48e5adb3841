"""A development server responds with the reason why an application cannot start."""

import asyncio
import json
from functools import partial
from typing import Any

import pytest

from users_api.server.development import ErrorApp, FallbackApp


def ignore() -> None:
    """Announce nothing."""


def replace(error: Exception) -> ErrorApp:
    """Return the application that responds with the error's message."""
    return ErrorApp(str(error))


async def exchange(app: Any) -> list[Any]:
    """Start the application, send a request and stop it; return the ASGI messages that it sent."""
    received = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": next(received)}

    async def send(message: Any) -> None:
        sent.append(message)

    for kind in ("lifespan", "http"):
        await app({"type": kind}, receive, send)
    return sent


def test_a_broken_application_starts_responds_and_stops() -> None:
    sent = asyncio.run(exchange(ErrorApp("Broken.")))

    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
        "http.response.start",
        "http.response.body",
    ]
    assert sent[2]["status"] == 503
    assert json.loads(sent[3]["body"])["detail"] == "Broken."


def test_an_application_that_fails_to_start_is_replaced() -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "Traceback …"})
        raise LookupError("No file.")  # noqa: EM101, TRY003 -- the test compares the text.

    sent = asyncio.run(exchange(FallbackApp(app, ignore, replace)))

    assert [message["type"] for message in sent[:2]] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert json.loads(sent[3]["body"])["detail"] == "No file."


def test_an_application_that_fails_to_stop_is_not_replaced() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.complete"})
        raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(exchange(FallbackApp(app, ignore, replace)))


def test_a_start_is_announced_once_the_server_has_logged_it() -> None:
    announced: list[str] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    async def send(_message: Any) -> None:
        """Discard the message."""

    async def main() -> None:
        await FallbackApp(app, partial(announced.append, "lifespan"), replace)(
            {"type": "lifespan"}, None, send
        )
        await FallbackApp(app, partial(announced.append, "http"), replace)({"type": "http"}, None, send)
        assert announced == []
        await asyncio.sleep(0)

    asyncio.run(main())

    assert announced == ["lifespan"]
