"""What the lines of a log contain, as JSON and as text."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from users_api.observability.formats import Format, TextFormat
from users_api.observability.json_format import JsonFormat
from users_api.observability.repeats import add_request_id
from users_api.observability.request_ids import current_request_id
from users_api.observability.requests import Ended, RequestKinds, ended, level_of, trace_id_in
from users_api.observability.traced_ids import in_trace

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACE_CONTEXT = f"00-{TRACE_ID}-00f067aa0ba902b7-01".encode()
OFFSET = 1_700_000_000_000_000_000


class Operation:
    """An operation of a document."""

    metric_name = "get_user"


GET_USER = Operation()


KINDS = RequestKinds()


def request(  # noqa: PLR0913 -- what the formats show.
    status: int = 200,
    *,
    request_id: bytes = b"abc-1",
    operation: Operation | None = GET_USER,
    method: str | None = "GET",
    token_info: Any = None,
    end: int = 250_000_000,
) -> Ended:
    """Return a request that took 1.5 ms."""
    report = request_id, operation, method, "http", status, 120, end - 1_500_000, end, token_info
    (made,) = ended([report], KINDS)
    return made


def line_of(request: Ended, line_format: Format | None = None) -> str:
    """Return the line of a request."""
    line = (line_format or JsonFormat()).request_lines([request], OFFSET)
    return line.decode()


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
    line = line_of(request())

    assert line.endswith("}\n")
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
    levels = {status: level_of(status) for status in (0, 200, 404, 499, 500, 503)}

    assert levels == {0: "info", 200: "info", 404: "info", 499: "info", 500: "error", 503: "error"}


def test_the_line_names_the_trace_and_the_client() -> None:
    known = request(request_id=in_trace(b"abc-1", TRACE_ID), token_info={"client_id": "c1", "sub": "s"})

    line = json.loads(line_of(known))

    assert (line["trace_id"], line["client"]) == (TRACE_ID, "c1")
    assert line_of(known, TextFormat(colored=False)).endswith(f"  abc-1 {TRACE_ID} c1\n")


def test_a_request_without_a_token_has_no_client() -> None:
    for token_info in (None, {}, {"sub": "s"}):
        assert "client" not in json.loads(line_of(request(token_info=token_info)))


def test_the_constant_members_of_lines_are_not_mixed_up() -> None:
    requests = [
        request(status, method=method, operation=operation)
        for status in (200, 404, 503)
        for method in ("GET", "HEAD")
        for operation in (GET_USER, None)
    ]

    lines = [json.loads(line) for line in JsonFormat().request_lines(requests * 2, OFFSET).splitlines()]

    assert [(line["status"], line["method"], line["operation"], line["level"]) for line in lines] == [
        (kind.status, kind.method, "get_user" if kind.operation else None, level_of(kind.status))
        for _, kind, *_ in requests * 2
    ]


@pytest.mark.parametrize("nanoseconds", [0, 1, 999, 1_000, 999_999_999, 1_000_000_000, 86_399_999_999_999])
def test_times_are_exact(nanoseconds: int) -> None:
    assert json.loads(line_of(request(end=nanoseconds)))["time"] == utc_text(OFFSET + nanoseconds)


@given(st.lists(st.integers(0, 3 * 10**9), min_size=1))
def test_the_times_of_many_lines_are_exact_in_any_order(ends: list[int]) -> None:
    lines = JsonFormat().request_lines([request(end=end) for end in ends], OFFSET).splitlines()

    assert [json.loads(line)["time"] for line in lines] == [utc_text(OFFSET + end) for end in ends]


def test_a_name_with_a_percent_sign_is_written_as_it_is() -> None:
    operation = Operation()
    operation.metric_name = "100%d"

    assert json.loads(line_of(request(operation=operation)))["operation"] == "100%d"


def utc_text(nanoseconds: int) -> str:
    """Return a time as orjson writes it, always with microseconds."""
    seconds, rest = divmod(nanoseconds, 10**9)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.mark.parametrize(
    "values",
    [
        [],
        [b""],
        [TRACE_CONTEXT.upper()],
        [TRACE_CONTEXT, TRACE_CONTEXT],
        [b"00-x\n-00f067aa0ba902b7-01"],
        [TRACE_CONTEXT + b"\n"],
    ],
)
def test_an_invalid_trace_is_ignored(values: list[bytes]) -> None:
    assert trace_id_in(values) is None


def test_a_valid_trace_is_read() -> None:
    assert trace_id_in([TRACE_CONTEXT]) == TRACE_ID
    assert trace_id_in([TRACE_CONTEXT + b"-later-versions-have-more"]) == TRACE_ID


def test_a_request_that_is_not_http_has_no_operation() -> None:
    (invalid,) = ended([(b"abc-2", None, None, None, 400, 60, 0, 0, None)], KINDS)

    line = json.loads(line_of(invalid))

    assert (line["operation"], line["method"], line["status"]) == (None, None, 400)
    assert "  400  -      -    " in line_of(invalid, TextFormat(colored=False))


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
    token = current_request_id.set(b"abc-1")
    assert add_request_id(made)
    current_request_id.reset(token)

    assert add_request_id(made)

    assert json.loads(JsonFormat().formatter().format(made))["request_id"] == "abc-1"


def test_a_record_outside_of_requests_has_no_request() -> None:
    made = record()

    add_request_id(made)

    assert "request_id" not in json.loads(JsonFormat().formatter().format(made))


def test_text_has_aligned_columns() -> None:
    line = line_of(request(), TextFormat(colored=False))

    assert line[2::3][:2] == "::"
    assert line[8:] == "  200  GET    get_user              1.5 ms      120 B  abc-1\n"


@pytest.mark.parametrize(("status", "color"), [(200, 32), (304, 32), (404, 33), (500, 31), (0, 31)])
def test_a_terminal_shows_the_status_in_color(status: int, color: int) -> None:
    line = line_of(request(status), TextFormat(colored=True))

    assert f"\x1b[{color}m{status:3}\x1b[0m" in line


@pytest.mark.parametrize(("level", "color"), [(logging.INFO, 2), (logging.WARNING, 33), (logging.ERROR, 31)])
def test_a_terminal_shows_the_level_in_color(level: int, color: int) -> None:
    line = TextFormat(colored=True).formatter().format(record(level, repeated=2))

    assert line[8:] == f"  \x1b[{color}m{logging.getLevelName(level).lower()}\x1b[0m  it failed repeated=2"


STRANGE = "\x1b[2J\n\u202e\ud800"
ESCAPED = "\\x1b[2J\\n\\u202e\\ud800"


def test_text_escapes_what_could_control_a_terminal() -> None:
    strange = request(token_info={"client_id": STRANGE})

    assert line_of(strange, TextFormat(colored=False)).endswith(f" {ESCAPED}\n")
    assert TextFormat(colored=False).formatter().format(record(message=f"%s{STRANGE}")).endswith(ESCAPED)


def test_json_escapes_what_utf_8_cannot_encode() -> None:
    strange = request(token_info={"client_id": STRANGE})

    assert json.loads(line_of(strange))["client"] == ESCAPED
    assert json.loads(JsonFormat().formatter().format(record(message="%s\ud800")))["message"] == "it\\ud800"


def test_a_traceback_in_text_keeps_its_lines() -> None:
    failed = record(exc_info=raised(LookupError))

    lines = TextFormat(colored=False).formatter().format(failed).splitlines()

    assert lines[0].endswith("  warning  it failed")
    assert lines[-1] == "LookupError"
