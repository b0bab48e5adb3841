"""The lines of requests are written soon, in order, and only those of the chosen level."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.support.virtual_time import run_in_virtual_time
from users_api.observability.cells import SharedCells
from users_api.observability.configuration import Logs
from users_api.observability.json_format import JsonFormat
from users_api.observability.line_writer import LineWriter
from users_api.observability.observer import BATCH_SIZE, FLUSH_SECONDS, RequestObserver
from users_api.observability.recorder import Recorder
from users_api.observability.request_ids import current_request_id
from users_api.observability.request_log import RequestLog
from users_api.observability.statements import ReportedStatements
from users_api.observability.traced_ids import span_of, trace_of

LOGGER = "users_api.observability.request_log"


class Written:
    """A pipe, and an observer that logs to it."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self.recorder = Recorder(SharedCells())
        log = RequestLog(JsonFormat(), LineWriter(self.writing))
        self.observer = RequestObserver(self.recorder, log)
        os.set_blocking(self.reading, False)

    def end(self, request_id: bytes, status: int = 200) -> None:
        """Report a request that has ended."""
        self.observer.end((request_id, None, "GET", "http", status, 0, 0, 0, None))

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


def test_lines_are_written_together_a_moment_later(
    written: Written, set_level: Callable[[int], None]
) -> None:
    set_level(logging.INFO)

    async def main() -> None:
        written.observer.connect([])
        written.end(b"a")
        written.end(b"b", 404)
        assert written.lines() == []
        await asyncio.sleep(3 * FLUSH_SECONDS)
        assert written.lines() == [("a", 200), ("b", 404)]
        written.end(b"c")
        await asyncio.sleep(3 * FLUSH_SECONDS)
        assert written.lines() == [("c", 200)]

    asyncio.run(main())


def test_the_more_requests_end_the_sooner_they_are_written(
    written: Written, set_level: Callable[[int], None]
) -> None:
    set_level(logging.INFO)

    async def batches(milliseconds: int, requests: int) -> list[int]:
        """Return how many lines arrived together, while so many requests end in each millisecond."""
        arrived = []
        for _ in range(milliseconds):
            for _ in range(requests):
                written.end(b"a")
            await asyncio.sleep(0.001)
            arrived.append(len(written.lines()))
        return [count for count in arrived if count]

    async def main() -> tuple[list[int], list[int]]:
        written.observer.connect([])
        return await batches(500, 8), await batches(500, 1)

    busy, calm = run_in_virtual_time(main())

    slowest = FLUSH_SECONDS * 1000
    assert busy[0] == pytest.approx(8 * slowest, abs=8)
    assert busy[1:] == [pytest.approx(BATCH_SIZE, abs=3 * 8)] * (len(busy) - 1)
    assert calm[2:] == [pytest.approx(slowest, abs=1)] * (len(calm) - 2)


def test_a_request_that_ends_after_its_connection_is_written_too(
    written: Written, set_level: Callable[[int], None]
) -> None:
    set_level(logging.INFO)

    async def main() -> None:
        tasks = ["the request"]
        written.observer.connect(tasks)
        written.observer.disconnect()
        await asyncio.sleep(3 * FLUSH_SECONDS)
        written.end(b"late", 0)
        tasks.clear()
        await asyncio.sleep(3 * FLUSH_SECONDS)

    asyncio.run(main())

    assert written.lines() == [("late", 0)]


def test_after_a_failure_the_next_requests_are_written(
    written: Written, set_level: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_level(logging.INFO)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        written.observer.connect([])
        with monkeypatch.context() as patch:
            patch.setattr(RequestLog, "write", lambda *_: 1 / 0)
            written.end(b"lost")
            await asyncio.sleep(3 * FLUSH_SECONDS)
        written.end(b"next")
        await asyncio.sleep(3 * FLUSH_SECONDS)

    asyncio.run(main())

    assert written.lines() == [("next", 200)]


def test_without_connections_nothing_is_scheduled(written: Written) -> None:
    async def main() -> list[float]:
        for _ in range(3):
            written.observer.connect([])
            written.observer.disconnect()
        await asyncio.sleep(1)
        return [each.when() for each in asyncio.get_running_loop()._scheduled]  # type: ignore[attr-defined]  # noqa: SLF001 -- no public name.

    assert run_in_virtual_time(main()) == [pytest.approx(1000 + 24 * 3600)]  # The limit of the run itself.


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        (logging.INFO, [("a", 200), ("b", 503)]),
        (logging.WARNING, [("b", 503)]),
        (logging.ERROR, [("b", 503)]),
        (logging.CRITICAL, []),
    ],
)
def test_the_level_decides_which_requests_are_written(
    written: Written, set_level: Callable[[int], None], level: int, shown: list[tuple[str, int]]
) -> None:
    set_level(level)
    written.end(b"a")
    written.end(b"b", 503)

    written.observer.flush()

    assert written.lines() == shown


def test_a_request_that_the_server_rejects_is_written_at_once(
    written: Written, set_level: Callable[[int], None]
) -> None:
    set_level(logging.INFO)

    chosen = written.observer.reject([(b"x-request-id", b"a")], 431, 5)

    assert (chosen, written.lines()) == (b"a", [("a", 431)])


def test_what_is_left_is_written_when_the_process_exits() -> None:
    program = """
from users_api.observability.configuration import Logs
logs = Logs("json")
logs.configure("info")
logs.observer().end((b"last", None, "GET", "http", 200, 0, 0, 0, None))
"""

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert json.loads(done.stdout)["request_id"] == "last"


def test_a_record_that_cannot_be_formatted_is_reported_and_left_out(
    capfd: pytest.CaptureFixture[str],
) -> None:
    handler = Logs("text").handler()

    handler.handle(logging.LogRecord("x", logging.INFO, "x.py", 1, "%d", ("no number",), None))

    written = capfd.readouterr()
    assert written.out == ""
    assert "Logging error" in written.err


def test_a_request_has_one_id_in_its_task_and_its_statements(written: Written) -> None:
    observer = written.observer

    async def main() -> str:
        observer.begin(observer.choose_id({}, [(b"x-request-id", b"abc-1")]))
        return ReportedStatements("postgresql", written.recorder).comment()

    assert asyncio.run(main()) == " /*request_id='abc-1'*/"
    assert current_request_id.get() == b""


def test_a_request_without_a_safe_id_gets_a_new_one(written: Written) -> None:
    observer = written.observer
    offered = [[], [(b"x-request-id", b"a b")], [(b"traceparent", b"x")], [(b"x-request-id", b"a")] * 2]

    chosen = [observer.choose_id({}, each) for each in offered]

    assert len({each.partition(b"-")[0] for each in chosen}) == 1
    assert len(set(chosen)) == 4


def test_the_id_of_a_request_knows_its_trace(written: Written) -> None:
    parent = b"traceparent", b"00-%b-00f067aa0ba902b7-01" % (b"a" * 32)

    chosen = written.observer.choose_id({}, [(b"x-request-id", b"mine"), parent])

    assert (chosen, trace_of(chosen), span_of(chosen)) == (b"mine", "a" * 32, None)
    assert trace_of(written.observer.choose_id({}, [])) is None


def test_a_statement_outside_of_requests_has_no_comment() -> None:
    assert ReportedStatements("postgresql", Recorder(SharedCells())).comment() == ""


def test_sqlite_gets_no_comment_because_it_caches_statements_by_their_text() -> None:
    token = current_request_id.set(b"abc-1")

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
