"""The development server's applications and its error messages."""

import asyncio
from http import HTTPStatus
from typing import Any

import pytest
import yaml

from users_api import cli, development, serving
from users_api.config import DevelopmentConfig, SettingsError
from users_api.development import ErrorApp, FallbackApp, describe_error
from users_api.envelope import failure_body


def failure(code: str, name: str) -> Exception:
    """Return the exception that the code raises when compiled under this file name."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 -- the test checks its type.
        exec(compile(code, name, "exec"), {"yaml": yaml, "SettingsError": SettingsError})  # noqa: S102 -- the code is in this file.
    return caught.value


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("x = (", "users_api/handlers/users.py, line 1: '(' was never closed"),
        ("\n1 / 0", "users_api/handlers/users.py, line 2: ZeroDivisionError: division by zero"),
        ("raise SettingsError('PORT must be a number')", "PORT must be a number"),
        ("raise ValueError('one\\ntwo')", "users_api/handlers/users.py, line 1: ValueError: one two"),
        (
            "yaml.safe_load('a: [')",
            "<unicode string>, line 1: expected the node content, but found '<stream end>'",
        ),
    ],
)
def test_an_error_is_explained_in_one_line_with_its_location(code: str, line: str) -> None:
    assert describe_error(failure(code, str(development.PACKAGE / "handlers" / "users.py"))) == line


def test_a_syntax_error_outside_the_package_is_explained_in_one_line() -> None:
    assert describe_error(failure("(", "elsewhere.py")) == "elsewhere.py, line 1: '(' was never closed"


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


@pytest.mark.parametrize("status", [HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE])
def test_the_server_renders_errors_in_the_services_envelope(status: HTTPStatus) -> None:
    assert serving.render_failure(status, "No.") == (failure_body(status, "No."), "application/json")


def test_a_broken_application_starts_responds_and_stops() -> None:
    sent = asyncio.run(exchange(ErrorApp("Broken.")))

    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
        "http.response.start",
        "http.response.body",
    ]
    assert sent[2]["status"] == 503
    assert sent[3]["body"] == b'{"status":"error","message":"Broken."}'


def test_an_application_that_fails_to_start_is_replaced() -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "Traceback …"})
        raise SettingsError("PORT must be a number")  # noqa: EM101, TRY003 -- the test compares the text.

    sent = asyncio.run(exchange(FallbackApp(app, "Here.")))

    assert [message["type"] for message in sent[:2]] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert sent[3]["body"] == b'{"status":"error","message":"PORT must be a number"}'


def test_an_application_that_fails_to_stop_is_not_replaced() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.complete"})
        raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(exchange(FallbackApp(app, "Here.")))


def test_the_message_is_printed_after_startup(capsys: pytest.CaptureFixture[str]) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    async def send(_message: Any) -> None:
        """Discard the message."""

    async def main() -> None:
        await FallbackApp(app, "Here.")({"type": "lifespan"}, None, send)
        await FallbackApp(app, "Not here.")({"type": "http"}, None, send)
        assert capsys.readouterr().err == ""
        await asyncio.sleep(0)

    asyncio.run(main())

    assert capsys.readouterr().err == "Here.\n"


def test_wrong_settings_result_in_default_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "http")
    development._limits.cache_clear()  # noqa: SLF001 -- the cache lasts as long as the process.

    assert development._limits() == development.Limits()  # noqa: SLF001 -- the same.
    development._limits.cache_clear()  # noqa: SLF001 -- the same.


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("localhost", "localhost")],  # noqa: S104 -- nothing listens on it.
)
def test_the_printed_url_is_reachable(host: str, address: str) -> None:
    assert cli._browser_host(host) == address  # noqa: SLF001 -- only printed text depends on it.


def test_the_printed_database_has_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:secret@db/users")

    assert cli._database_location(DevelopmentConfig) == "postgresql://ada:***@db/users"  # noqa: SLF001 -- the same.


def test_an_application_that_cannot_be_created_responds_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("APP_SETTINGS", "nothing")

    assert isinstance(development.create_app(), ErrorApp)
