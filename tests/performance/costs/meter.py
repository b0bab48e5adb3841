"""Measures the CPU time that the event loop's thread spends on a request, relative to a valid one."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import unquote

from uvicorn import Config
from uvicorn.server import ServerState

from tests.performance.costs.cases import CONNECTION, READ, Case
from tests.performance.costs.documents import Request, Subject
from users_api.engine import App
from users_api.server.protocol import Protocol

REFERENCE = ("keywords", "POST /strings")
RUNS = 6
VALID_RUNS = 3
FACTOR = 10
PER_KIB = 250
MOST = 1000
MEASURED = "users_api.engine."
LONGEST_SECONDS = 10
AGAIN_SECONDS = 0.01
HOPELESS = 3  # Times the budget, at which a request is stopped.
READ_BYTES = 64
VERSION = " HTTP/1.1\r\n"
HOST = "localhost"
STATUS = slice(9, 12)  # In `HTTP/1.1 200 OK`.
NANOSECONDS = 10**9

numbers = count(1)


class TooLong(BaseException):
    """A request takes longer than is worth measuring."""


class Wire(asyncio.Transport):
    """A transport that keeps the status of the first response only."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self.status = 0

    def write(self, data: bytes) -> None:
        """Keep only the status of the first response."""
        self.status = self.status or int(data[STATUS])

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Ignore the limits: nothing is buffered."""

    def pause_reading(self) -> None:
        """Ignore the request: the caller gives the data."""

    def resume_reading(self) -> None:
        """Ignore this one too."""

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


class Cost(NamedTuple):
    """The CPU time of a request in nanoseconds, and the status of its response, 0 if it takes too long."""

    time: int
    status: int


class Measured(NamedTuple):
    """What a case costs: as a multiple of the reference request, and as a share of its budget."""

    status: int
    ratio: float
    share: float
    milliseconds: float


class Meter:
    """Measures cases on one event loop, each beside valid requests, so that both see the same machine."""

    def __init__(self, subjects: Sequence[Subject]) -> None:
        self.subjects = {(subject.document, subject.operation): subject for subject in subjects}
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        """Close the event loop."""
        self._loop.close()

    def measure(self, case: Case, runs: int = RUNS) -> Measured:
        """Return what the case costs; while it exceeds its budget, the least of several runs counts."""
        subject = self.subjects[case.document, case.operation]
        reference = self.subjects[REFERENCE]
        given = case.shape.text()
        size, requests = _size(case, given), max(1, given.count(VERSION))
        units, valids, costs = [], [], []
        for _ in range(runs):
            units += [self.send(reference.app, reference.valid).time for _ in range(VALID_RUNS)]
            valids += [self._valid(subject, case).time for _ in range(VALID_RUNS)]
            allowed = budget(size, requests * min(valids), min(units))
            costs.append(self._sent(subject, case, given, HOPELESS * allowed / NANOSECONDS))
            cost, status = min(costs)
            share = cost / allowed
            if share <= 1 or (share > HOPELESS and len(costs) > 1):
                break
        return Measured(status, cost / min(units), share, cost / NANOSECONDS * 1000)

    def send(self, app: App, request: Request, seconds: float = LONGEST_SECONDS) -> Cost:
        """Return what one request to the application costs."""
        scope = _scope(request)
        return self._cost(lambda: _call(app, scope, request.body), seconds)

    def exchange(self, app: App, received: bytes, read: int, seconds: float = LONGEST_SECONDS) -> Cost:
        """Return what a connection costs on which this arrives, `read` bytes at a time."""
        reads = [received[at : at + read] for at in range(0, len(received), read)]
        config = Config(app, log_config=None)
        config.loaded_app = app
        state = ServerState()
        protocol = Protocol(config=config, server_state=state, app_state={}, _loop=self._loop)
        deadline = time.thread_time_ns() + seconds * NANOSECONDS
        return self._cost(lambda: _exchange(protocol, reads, deadline), LONGEST_SECONDS)

    def _valid(self, subject: Subject, case: Case) -> Cost:
        valid = subject.numbered(next(numbers))
        if case.place == CONNECTION:
            return self.exchange(subject.app, wire(valid), READ)
        return self.send(subject.app, valid)

    def _sent(self, subject: Subject, case: Case, text: str, seconds: float) -> Cost:
        if case.place == CONNECTION:
            return self.exchange(subject.app, text.encode("latin-1"), case.read, seconds)
        return self.send(subject.app, subject.request(case.place, text), seconds)

    def _cost(self, start: Callable[[], Awaitable[int]], seconds: float) -> Cost:
        begun = time.thread_time_ns()
        try:
            with at_most(seconds):
                return self._loop.run_until_complete(_timed(start))
        except TooLong:
            return Cost(time.thread_time_ns() - begun, 0)


def budget(size: int, valid: int, unit: int) -> float:
    """Return the CPU time that a request of this many bytes may take, by those of two valid requests.

    `valid` is that of the operation. `unit` is that of the reference, by which all operations are limited.
    """
    return FACTOR * valid + unit * min(PER_KIB * size / 1024, MOST)


def _size(case: Case, text: str) -> int:
    """Return the size of the text in bytes; each read counts, since the kernel has more to do for it."""
    return max(len(text.encode("utf-8", "surrogatepass")), READ_BYTES * len(text) // case.read)


def wire(request: Request) -> bytes:
    """Return the request as HTTP/1.1."""
    lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {HOST}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    if request.body:
        lines.append(f"Content-Length: {len(request.body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + request.body


async def _timed(start: Callable[[], Awaitable[int]]) -> Cost:
    begun = time.thread_time_ns()
    status = await start()
    return Cost(time.thread_time_ns() - begun, status)


async def _call(app: App, scope: dict[str, Any], body: bytes) -> int:
    """Send a request to the application, and return the status of its response."""
    statuses: list[int] = []
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.Event().wait()  # The client stays connected.
        return messages.pop()

    async def send(message: dict[str, Any]) -> None:
        if "status" in message:
            statuses.append(message["status"])

    await app(scope, receive, send)
    return statuses[0]


async def _exchange(protocol: Protocol, reads: Sequence[bytes], deadline: float) -> int:
    """Receive the reads on one connection, and return the status of the first response.

    After the deadline the rest is not received: an exception from outside would end in the server.
    """
    connection = Wire()
    protocol.connection_made(connection)
    for read in reads:
        protocol.data_received(read)
        await asyncio.sleep(0)
        if time.thread_time_ns() > deadline:
            break
    protocol.eof_received()
    while protocol.tasks:
        await asyncio.wait(protocol.tasks)
    protocol.connection_lost(None)
    return connection.status


def _scope(request: Request) -> dict[str, Any]:
    path, _, query = request.target.partition("?")
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in request.headers]
    headers.append((b"host", HOST.encode()))
    if request.body:
        headers.append((b"content-length", b"%d" % len(request.body)))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "path": unquote(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "scheme": "http",
        "headers": headers,
        "server": (HOST, 80),
        "client": (HOST, 1),
    }


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TooLong in the package's code after this many seconds of CPU time."""
    previous = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)


def stop(_number: int, frame: Any) -> None:
    """Raise TooLong unless a library is interrupted, which would keep a wrong state or drop the exception."""
    if frame.f_globals["__name__"].startswith(MEASURED):
        raise TooLong
