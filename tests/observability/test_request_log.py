"""The lines of requests are written soon, in order, and only those of the chosen level."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from users_api.observability.cells import SharedCells
from users_api.observability.configuration import Logs
from users_api.observability.formats import JsonFormat
from users_api.observability.line_writer import LineWriter
from users_api.observability.observer import RequestObserver
from users_api.observability.recorder import Recorder
from users_api.observability.request_ids import current_request_id
from users_api.observability.request_log import FLUSH_SECONDS, RequestLog
from users_api.observability.requests import EndedRequest
from users_api.observability.statements import ReportedStatements

LOGGER = "users_api.observability.request_log"


class Written:
    """A pipe, and a log that writes to it."""

    def __init__(self) -> None:
        self.reading, writing = os.pipe()
        self.log, self.writing = RequestLog(JsonFormat(), LineWriter(writing)), writing
        os.set_blocking(self.reading, False)

    def lines(self) -> list[tuple[str, int]]:
        """Return the ids and the statuses of the lines that have arrived since the last call."""
        try:
            text = os.read(self.reading, 10**6)
        except BlockingIOError:
            return []
        found = [json.loads(line) for line in text.splitlines()]
        return [(line["request_id"], line["status"]) for line in found]


@pytest.fixture
def written() -> Iterator[Written]:
    made = Written()
    yield made
    os.close(made.reading)
    os.close(made.writing)


@pytest.fixture
def set_level(caplog: pytest.LogCaptureFixture) -> Callable[[int], None]:
    """Sets the least severe level of the log."""
    return lambda level: caplog.set_level(level, logger=LOGGER)


def ended(request_id: str, status: int = 200) -> EndedRequest:
    return EndedRequest(request_id, {"headers": []}, status, 0, 0, 0)


def test_lines_are_written_together_a_moment_later(
    written: Written, set_level: Callable[[int], None]
) -> None:
    set_level(logging.INFO)

    async def main() -> None:
        written.log.add(ended("a"))
        written.log.add(ended("b", 404))
        assert written.lines() == []
        await asyncio.sleep(2 * FLUSH_SECONDS)
        assert written.lines() == [("a", 200), ("b", 404)]
        written.log.add(ended("c"))
        await asyncio.sleep(2 * FLUSH_SECONDS)
        assert written.lines() == [("c", 200)]

    asyncio.run(main())


def test_warnings_leave_out_requests_that_succeed(written: Written, set_level: Callable[[int], None]) -> None:
    set_level(logging.WARNING)

    async def main() -> None:
        for request in (ended("a"), ended("b", 503)):
            written.log.add(request)
        written.log.write()

    asyncio.run(main())
    assert written.lines() == [("b", 503)]


def test_what_is_left_is_written_when_the_process_exits() -> None:
    program = """
import asyncio, sys
from users_api.observability.cells import SharedCells
from users_api.observability.configuration import Logs
import logging
Logs("json").configure("info")
observer = Logs("json").observer()
async def main():
    observer.end("last", {"headers": [], "method": "GET", "scheme": "http"}, 200, 0, 0)
asyncio.run(main())
"""

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert json.loads(done.stdout)["request_id"] == "last"


def test_a_record_that_cannot_be_formatted_is_reported_and_left_out(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", sys.__stdout__)
    handler = Logs("text").handler()

    handler.handle(logging.LogRecord("x", logging.INFO, "x.py", 1, "%d", ("no number",), None))

    written = capfd.readouterr()
    assert written.out == ""
    assert "Logging error" in written.err


def test_a_request_has_one_id_in_its_line_its_task_and_its_statements(
    written: Written, set_level: Callable[[int], None]
) -> None:
    set_level(logging.INFO)
    observer = RequestObserver(written.log, Recorder(SharedCells()))

    async def main() -> str:
        request_id = observer.choose_id([b"abc-1"])
        observer.begin(request_id)
        observer.end(request_id, {"headers": [], "method": "GET", "scheme": "http"}, 200, 5, 1)
        written.log.write()
        return ReportedStatements("postgresql", Recorder(SharedCells())).comment()

    assert asyncio.run(main()) == " /*request_id='abc-1'*/"
    assert written.lines() == [("abc-1", 200)]
    assert current_request_id.get() == ""


def test_a_statement_outside_of_requests_has_no_comment() -> None:
    assert ReportedStatements("postgresql", Recorder(SharedCells())).comment() == ""


def test_sqlite_gets_no_comment_because_it_caches_statements_by_their_text() -> None:
    token = current_request_id.set("abc-1")

    assert ReportedStatements("sqlite", Recorder(SharedCells())).comment() == ""

    current_request_id.reset(token)


def test_without_a_server_all_loggers_write_to_standard_output(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.getLogger("users_api"), "level", logging.NOTSET)

    Logs("json").configure("warning")
    logging.getLogger("users_api.errors").info("hidden")
    logging.getLogger("users_api.errors").warning("shown")

    assert [json.loads(line)["message"] for line in capfd.readouterr().out.splitlines()] == ["shown"]
