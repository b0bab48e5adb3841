"""What the lines of a log contain, as JSON and as text."""

import json
import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from users_api.observability.formats import JsonFormat, TextFormat
from users_api.observability.repeats import add_request_id
from users_api.observability.request_ids import current_request_id
from users_api.observability.requests import EndedRequest

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACE_CONTEXT = f"00-{TRACE_ID}-00f067aa0ba902b7-01".encode()
OFFSET = 1_700_000_000_000_000_000


def request(status: int = 200, **differences: Any) -> EndedRequest:
    """Return a request of get_user that took 1.5 ms."""
    operation = SimpleNamespace(metric_name="get_user")
    scope = {"method": "GET", "headers": [], "operation": operation, "path": "/users/7"} | differences
    return EndedRequest("abc-1", scope, status, 120, 1_500_000, 250_000_000)


def raised(kind: type[BaseException]) -> Any:
    """Return what `sys.exc_info` returns for an exception of this kind."""
    try:
        raise kind  # noqa: TRY301 -- it needs a traceback.
    except kind:
        return sys.exc_info()


def record(level: int = logging.WARNING, message: str = "%s failed", **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord("users_api.errors", level, "errors.py", 7, message, ("it",), None)
    made.__dict__ |= {"created": 1_700_000_000.25, "process": 42} | fields
    return made


def test_the_line_of_a_request_is_a_json_object() -> None:
    line = JsonFormat().request_line(request(), OFFSET)

    assert line.endswith(b"}\n")
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250000Z",
        "level": "info",
        "message": "request",
        "request_id": "abc-1",
        "method": "GET",
        "operation": "get_user",
        "status": 200,
        "ms": 1.5,
        "bytes": 120,
    }


def test_a_failure_of_the_service_is_an_error() -> None:
    levels = {status: request(status).level for status in (0, 200, 404, 499, 500, 503)}

    assert levels == {0: "info", 200: "info", 404: "info", 499: "info", 500: "error", 503: "error"}


def test_the_line_names_the_trace_and_the_client() -> None:
    context = {"connexion_context": {"token_info": {"client_id": "c1", "sub": "s"}}}
    known = request(headers=[(b"traceparent", TRACE_CONTEXT)], extensions=context)

    line = json.loads(JsonFormat().request_line(known, OFFSET))

    assert (line["trace_id"], line["client"]) == (TRACE_ID, "c1")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"traceparent", b"")],
        [(b"traceparent", TRACE_CONTEXT.upper())],
        [(b"traceparent", TRACE_CONTEXT), (b"traceparent", TRACE_CONTEXT)],
        [(b"traceparent", b"00-x\n-00f067aa0ba902b7-01")],
    ],
)
def test_an_invalid_trace_is_left_out(headers: Any) -> None:
    assert "trace_id" not in json.loads(JsonFormat().request_line(request(headers=headers), OFFSET))


def test_a_request_that_is_not_http_has_no_operation() -> None:
    invalid = EndedRequest("abc-2", {"headers": []}, 400, 60, 0, 0)

    line = json.loads(JsonFormat().request_line(invalid, OFFSET))

    assert (line["operation"], line["method"], line["status"]) == (None, None, 400)
    assert b"  400  -      -    " in TextFormat(colored=False).request_line(invalid, OFFSET)


def test_other_lines_are_json_objects_too() -> None:
    line = JsonFormat().formatter().format(record(repeated=3, request_id="abc-1"))

    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250000Z",
        "level": "warning",
        "message": "it failed",
        "logger": "users_api.errors",
        "process": 42,
        "request_id": "abc-1",
        "repeated": 3,
    }


def test_a_traceback_is_one_text_in_json() -> None:
    failed = record(exc_info=raised(LookupError))

    line = JsonFormat().formatter().format(failed)

    assert "\n" not in line
    assert json.loads(line)["exception"].endswith("\nLookupError")


def test_a_record_belongs_to_the_request_that_made_it() -> None:
    made = record()
    token = current_request_id.set("abc-1")
    assert add_request_id(made)
    current_request_id.reset(token)

    assert add_request_id(made)

    assert json.loads(JsonFormat().formatter().format(made))["request_id"] == "abc-1"


def test_a_record_outside_of_requests_has_no_request() -> None:
    made = record()

    add_request_id(made)

    assert "request_id" not in json.loads(JsonFormat().formatter().format(made))


def test_text_has_aligned_columns() -> None:
    line = TextFormat(colored=False).request_line(request(), OFFSET).decode()

    assert line[2::3][:2] == "::"
    assert line[8:] == "  200  GET    get_user              1.5 ms      120 B  abc-1\n"


@pytest.mark.parametrize(("status", "color"), [(200, 32), (304, 32), (404, 33), (500, 31), (0, 31)])
def test_a_terminal_shows_the_status_in_color(status: int, color: int) -> None:
    line = TextFormat(colored=True).request_line(request(status), OFFSET).decode()

    assert f"\x1b[{color}m{status:3}\x1b[0m" in line


@pytest.mark.parametrize(("level", "color"), [(logging.INFO, 2), (logging.WARNING, 33), (logging.ERROR, 31)])
def test_a_terminal_shows_the_level_in_color(level: int, color: int) -> None:
    line = TextFormat(colored=True).formatter().format(record(level, repeated=2))

    assert line[8:] == f"  \x1b[{color}m{logging.getLevelName(level).lower()}\x1b[0m  it failed repeated=2"


STRANGE = "\x1b[2J\n\u202e\ud800"
ESCAPED = "\\x1b[2J\\n\\u202e\\ud800"


def test_text_escapes_what_could_control_a_terminal() -> None:
    strange = request(extensions={"connexion_context": {"token_info": {"client_id": STRANGE}}})

    assert TextFormat(colored=False).request_line(strange, OFFSET).decode().endswith(f" {ESCAPED}\n")
    assert TextFormat(colored=False).formatter().format(record(message=f"%s{STRANGE}")).endswith(ESCAPED)


def test_json_escapes_what_utf_8_cannot_encode() -> None:
    strange = request(extensions={"connexion_context": {"token_info": {"client_id": STRANGE}}})

    assert json.loads(JsonFormat().request_line(strange, OFFSET))["client"] == ESCAPED
    assert json.loads(JsonFormat().formatter().format(record(message="%s\ud800")))["message"] == "it\\ud800"


def test_a_traceback_in_text_keeps_its_lines() -> None:
    failed = record(exc_info=raised(LookupError))

    lines = TextFormat(colored=False).formatter().format(failed).splitlines()

    assert lines[0].endswith("  warning  it failed")
    assert lines[-1] == "LookupError"
