"""Lines arrive whole and in order, and a reader that stops does not block the service."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from users_api.observability import line_writer
from users_api.observability.line_writer import RETRY_SECONDS, LineWriter


class Pipe:
    """A pipe that a test reads when it wants to."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)

    def read(self) -> bytes:
        try:
            return os.read(self.reading, 10**6)
        except BlockingIOError:
            return b""


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    os.close(made.reading)
    os.close(made.writing)


def lines(count: int, size: int = 100) -> list[bytes]:
    return [(b"%d" % number).rjust(size - 1) + b"\n" for number in range(count)]


def test_lines_arrive_in_order(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writing)
    writer.write(b"".join(lines(200)))

    assert pipe.read() == b"".join(lines(200))
    assert pipe.read() == b""


def test_each_write_has_whole_lines_that_a_pipe_takes_at_once(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda _descriptor, data: written.append(data) or len(data))
    writer = LineWriter(pipe.writing)

    writer.write(b"".join(lines(200)))

    assert max(map(len, written)) <= 4096
    assert min(map(len, written[:-1])) > 4096 - 110
    assert all(each.endswith(b"\n") for each in written)


def test_a_file_takes_all_lines_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda _descriptor, data: written.append(data) or len(data))
    with (tmp_path / "log").open("wb") as file:
        LineWriter(file.fileno()).write(b"".join(lines(5000)))

    assert written == [b"".join(lines(5000))]


def test_lines_of_several_processes_do_not_mix_in_a_file(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        writer = LineWriter(file.fileno())
        child = os.fork()
        for _ in range(50):
            writer.write(b"".join(lines(2000)))
        if not child:  # pragma: no cover -- coverage does not see it leave.
            os._exit(0)
        os.waitpid(child, 0)

    found = Counter((tmp_path / "log").read_bytes().splitlines(keepends=True))
    assert found == dict.fromkeys(lines(2000), 100)


def test_lines_of_different_lengths_arrive_in_order(pipe: Pipe) -> None:
    sent = [b"x" * (number * 37 % 900) + b"\n" for number in range(100)]

    LineWriter(pipe.writing).write(b"".join(sent))

    assert pipe.read() == b"".join(sent)


def test_threads_may_write_at_the_same_time(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        writer = LineWriter(file.fileno())

        def write(name: bytes) -> None:
            for number in range(2000):
                writer.write(b"%b %d\n" % (name, number))

        with ThreadPoolExecutor(4) as threads:
            for done in [threads.submit(write, name) for name in (b"a", b"b", b"c", b"d")]:
                done.result()

    written = (tmp_path / "log").read_bytes().splitlines()
    for name in (b"a", b"b", b"c", b"d"):
        expected = [b"%b %d" % (name, number) for number in range(2000)]
        assert [line for line in written if line.startswith(name)] == expected


@pytest.mark.parametrize("size", [4095, 4096, 4097, 9999])
def test_a_line_longer_than_a_chunk_is_written_alone(
    size: int, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda _descriptor, data: written.append(data) or len(data))
    sent = [b"a\n", b"x" * (size - 1) + b"\n", b"b\n"]

    LineWriter(pipe.writing).write(b"".join(sent))

    assert written == sent


def test_a_reader_that_stops_does_not_block(pipe: Pipe) -> None:
    writer, sent = LineWriter(pipe.writing), lines(3000)
    writer.write(b"".join(sent))
    received = pipe.read()

    while len(received) < 300_000:
        writer.write()
        received += pipe.read()

    assert received == b"".join(sent)


def test_on_an_event_loop_the_rest_is_written_as_soon_as_it_is_read(pipe: Pipe) -> None:
    writer, sent = LineWriter(pipe.writing), lines(3000)

    async def read() -> bytes:
        writer.write(b"".join(sent))
        writer.write(b"end\n")
        received = b""
        while not received.endswith(b"end\n"):
            received += pipe.read()
            await asyncio.sleep(RETRY_SECONDS)
        return received

    assert asyncio.run(read()) == b"".join(sent) + b"end\n"


def test_lines_that_wait_too_long_are_dropped_and_counted(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(line_writer, "MAX_WAITING_BYTES", 1000)
    writer = LineWriter(pipe.writing)

    writer.write(b"".join(lines(13)))
    writer.write(b"later\n")

    assert caplog.messages == ["3 log lines were dropped, because standard output was not read"]
    assert pipe.read() == b"".join(lines(10)) + b"later\n"


def test_a_reader_that_has_exited_does_no_harm() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    writer = LineWriter(writing)

    for _ in range(3):
        writer.write(b"".join(lines(200)))

    os.close(writing)


def test_a_closed_descriptor_does_no_harm() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)

    LineWriter(writing).write(b"lost\n")


def test_a_forked_process_does_not_write_what_waited_in_its_parent(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writing)
    writer.write(b"".join(lines(1000)))
    first = pipe.read()
    child = os.fork()
    if not child:  # pragma: no cover -- coverage does not see it leave.
        writer.write(b"child\n")
        os._exit(0)
    os.waitpid(child, 0)
    writer.write()

    assert first + pipe.read() == b"".join(lines(1000)[: len(first) // 100]) + b"child\n" + b"".join(
        lines(1000)[len(first) // 100 :]
    )


def test_a_partial_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    with (tmp_path / "log").open("wb") as file:
        writer = LineWriter(file.fileno())
        writer.write(b"".join(lines(5)))

    assert (tmp_path / "log").read_bytes() == b"".join(lines(5))
