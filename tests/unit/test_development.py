"""The development server's applications and its error messages."""

from http import HTTPStatus
from typing import Any

import pytest
import yaml

from users_api import cli, development, envelope, serving
from users_api.config import DevelopmentConfig, SettingsError
from users_api.development import describe_error
from users_api.server.development import ErrorApp
from users_api.server.protocol import Limits


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


@pytest.mark.parametrize("status", [HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE])
def test_the_server_renders_errors_in_the_services_envelope(status: HTTPStatus) -> None:
    body, headers = serving.render_failure(status, "No.")

    expected = envelope.failure(status, "No.")
    assert body == expected.body
    assert sorted([*headers, (b"content-length", b"%d" % len(body))]) == sorted(expected.headers)


def test_wrong_settings_result_in_default_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "http")
    development._protocol_factory.cache_clear()  # noqa: SLF001 -- the cache lasts as long as the process.

    factory: Any = development._protocol_factory()  # noqa: SLF001 -- the same.

    assert factory.keywords["limits"] == Limits()
    assert factory.keywords["render"] is serving.render_failure
    assert factory.keywords["https_headers"] == [(b"strict-transport-security", b"max-age=31536000")]
    development._protocol_factory.cache_clear()  # noqa: SLF001 -- the same.


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
