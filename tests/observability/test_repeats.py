"""A message that repeats is written once in a second, with its count."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.virtual_time import run_in_virtual_time
from users_api.observability import repeats
from users_api.observability.repeats import RepeatFilter


class Recorder(logging.Handler):
    """Keeps the messages that pass, with their counts."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self.written: list[tuple[str, int]] = []
        self.addFilter(RepeatFilter(self, clock))

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append((record.getMessage(), record.repeated))


def repeating(*pauses: float, exceptions: Any = None) -> list[tuple[str, int]]:
    """Return what is written of a warning that is logged after each of these pauses."""

    async def log() -> list[tuple[str, int]]:
        recorder = Recorder(asyncio.get_running_loop().time)
        for number, pause in enumerate(pauses):
            await asyncio.sleep(pause)
            failed = exceptions[number] if exceptions else None
            recorder.handle(made(number, failed))
        await asyncio.sleep(10)
        return recorder.written

    return run_in_virtual_time(log())


def made(
    number: int = 0, failed: BaseException | None = None, level: int = logging.WARNING
) -> logging.LogRecord:
    """Return a record whose message differs from others only by its argument."""
    information = (type(failed), failed, failed.__traceback__) if failed else None
    return logging.LogRecord("users_api", level, "here.py", 1, "failure %d", (number,), information)


def raised(kind: type[BaseException]) -> BaseException:
    """Return an exception with a traceback."""
    try:
        raise kind  # noqa: TRY301 -- it needs a traceback.
    except kind as error:
        return error


def test_the_first_of_many_is_written_at_once_and_the_last_after_a_second_with_their_count() -> None:
    assert repeating(0, 0.1, 0.1, 0.1) == [("failure 0", 0), ("failure 3", 2)]


def test_what_continues_is_written_once_in_a_second() -> None:
    written = repeating(*[0.1] * 50)

    assert 5 <= len(written) <= 6
    assert len(written) + sum(count for _, count in written) == 50


def test_what_repeats_rarely_is_always_written() -> None:
    assert repeating(0, 1.5, 1.5) == [("failure 0", 0), ("failure 1", 0), ("failure 2", 0)]


def test_one_repetition_is_written_like_any_other_line() -> None:
    assert repeating(0, 0.1) == [("failure 0", 0), ("failure 1", 0)]


def test_another_exception_is_no_repetition() -> None:
    exceptions = [raised(LookupError), raised(OSError)]

    assert repeating(0, 0.1, exceptions=exceptions) == [("failure 0", 0), ("failure 1", 0)]


def test_the_same_exception_is_a_repetition() -> None:
    exceptions = [raised(LookupError) for _ in range(3)]

    assert repeating(0, 0.1, 0.1, exceptions=exceptions) == [("failure 0", 0), ("failure 2", 1)]


def test_exceptions_of_other_lines_are_no_repetition() -> None:
    def nested() -> None:
        int("x")

    def also_nested() -> None:
        int("y")

    exceptions = []
    for function in (nested, also_nested):
        try:
            function()
        except ValueError as error:
            exceptions.append(error)

    assert repeating(0, 0.1, exceptions=exceptions) == [("failure 0", 0), ("failure 1", 0)]


def test_a_record_in_the_next_second_has_the_count_and_nothing_follows() -> None:
    async def log() -> list[tuple[str, int]]:
        now = [1000.0]
        recorder = Recorder(lambda: now[0])
        for number in range(3):
            recorder.handle(made(number))
        now[0] += 5
        recorder.handle(made(3))
        await asyncio.sleep(10)
        return recorder.written

    assert run_in_virtual_time(log()) == [("failure 0", 0), ("failure 3", 2)]


def test_what_is_no_warning_is_always_written() -> None:
    recorder = Recorder(lambda: 1000.0)

    passed = [recorder.filters[0].filter(made(level=logging.INFO)) for _ in range(3)]  # type: ignore[union-attr]

    assert passed == [True, True, True]


def test_without_an_event_loop_the_next_record_has_the_count() -> None:
    now = [1000.0]
    recorder = Recorder(lambda: now[0])
    for number, seconds in enumerate((0, 0.1, 0.1, 1)):
        now[0] += seconds
        recorder.handle(made(number))

    assert recorder.written == [("failure 0", 0), ("failure 3", 2)]


def test_few_kinds_of_messages_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "MAX_KINDS", 2)
    recorder = Recorder(lambda: 1000.0)
    for name in "abcdef":
        recorder.handle(logging.LogRecord(name, logging.ERROR, "here.py", 1, "failure", (), None))

    assert len(recorder.filters[0]._next) <= 2  # type: ignore[union-attr] # noqa: SLF001 -- no other way shows it.
    assert len(recorder.written) == 6
