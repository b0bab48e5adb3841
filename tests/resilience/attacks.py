"""Hostile clients.

Each attack runs until a time of the monotonic clock, and returns how often each status came; 0 stands for a
connection without a response.
"""

import asyncio
import resource
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing, suppress
from itertools import cycle, islice

import psutil

from tests.resilience.callers import PAUSE_SECONDS
from tests.support.waiting import PATIENCE_SECONDS

MIB = 1024 * 1024
PIECE_BYTES = 64 * 1024
HELD_CONNECTIONS = 1_000
MEMORY_BUDGET = 64 * MIB  # The service's default for each of two workers; half of it is for requests.
UNREADING_CLIENTS = 300
RECEIVE_BUFFER_BYTES = 4096
FILTERING_CLIENTS = 32
CHECK_SECONDS = 0.005
POST = b"POST /users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGEST_LIST = b"GET /users?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
FILTERS = b"GET /users?username=same&active=false HTTP/1.1\r\nHost: localhost\r\n\r\n"
DEEP = b"[" * 200 + b"]" * 200


def post(body: bytes) -> bytes:
    """Return a request with this body."""
    return b"%sContent-Length: %d\r\n\r\n%s" % (POST, len(body), body)


def array(item: bytes, size: int = MIB) -> bytes:
    """Return an array of this size or a little less, filled with the item."""
    return b"[%s]" % b",".join([item] * ((size - 1) // (len(item) + 1)))


HOSTILE = (
    post(array(b"{}")),
    post(array(b'{"":1}')),
    post(array(b"[]")),
    post(array(DEEP)),
    post(b'{"a":0%s}' % (b',"a":0' * (MIB // 6 - 2))),
    post(b'{"username":"%s"}' % (b"123456789012345678x" * (MIB // 19 - 1))),
    POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * MIB + b"0\r\n\r\n",
    b"GET /users?%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % b"&".join([b"email="] * 9_300),
    *(post(array(item, size=1_000 * (len(item) + 1))) for item in (b"{}", b"[]", b'{"":1}', b"0")),
)


async def hold_bodies(port: int, end: float, clients: int = HELD_CONNECTIONS) -> Counter[int]:
    """Send bodies of 1 MiB, and hold back the last byte of each, until the first one is refused at least.

    The clients connect one after the other in the first half of the time.
    """
    _allow_connections()
    request = post(b'{"username": "%s"}' % (b"x" * (MIB - 16)))[:-1]
    pause = (end - time.monotonic()) / 2 / clients
    held = [asyncio.ensure_future(_send_once(port, request, number * pause)) for number in range(clients)]
    await asyncio.wait(held, timeout=end - time.monotonic())
    if clients * MIB > MEMORY_BUDGET:
        await asyncio.wait(held, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    for each in held:
        each.cancel()
    await asyncio.wait(held)
    return Counter(0 if each.cancelled() else each.result() for each in held)


async def hold_idle(port: int, end: float, clients: int) -> Counter[int]:
    """Send one request on each connection, and keep the connections open."""

    async def hold(_number: int) -> list[int]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with closing(writer):
            status = await _exchange(reader, writer, PING)
            with suppress(TimeoutError):
                async with asyncio.timeout(end - time.monotonic()):
                    await reader.read()
                await asyncio.sleep(end - time.monotonic())
        return [status]

    return await _run(clients, hold)


async def use_descriptors(port: int, end: float, process: int, limit: int) -> Counter[int]:
    """Keep so many connections open that the worker has no free descriptor."""
    worker, statuses, was_full = psutil.Process(process), Counter[int](), False
    with ExitStack() as stack:
        while time.monotonic() < end:
            if worker.num_fds() < limit:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                stack.enter_context(closing(writer))
                statuses[await _exchange(reader, writer, PING)] += 1
            else:
                was_full = True
                await asyncio.sleep(CHECK_SECONDS)
    assert was_full
    return statuses


async def leave_unread(port: int, end: float, clients: int = UNREADING_CLIENTS) -> Counter[int]:
    """Ask for the largest list, and read nothing."""

    async def ask(_number: int) -> list[int]:
        with closing(socket.socket()) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            client.setblocking(False)  # noqa: FBT003 -- the only form.
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, ("127.0.0.1", port))
            await loop.sock_sendall(client, LARGEST_LIST)
            await asyncio.sleep(end - time.monotonic())
        return [0]

    return await _run(clients, ask)


async def send_hostile_json(port: int, end: float, clients: int) -> Counter[int]:
    """Send expensive bodies and queries without a pause; each client begins with another one."""

    def requests(number: int) -> Iterator[bytes]:
        return islice(cycle(HOSTILE), number, None)

    return await _run(clients, lambda number: _repeat(port, end, requests(number)))


async def combine_filters(port: int, end: float) -> Counter[int]:
    """Filter by values that many users have, but none has together.

    The clients pause as the writers do: without a pause they would measure only how many of them there are.
    """
    return await _run(FILTERING_CLIENTS, lambda _: _repeat(port, end, cycle([FILTERS]), PAUSE_SECONDS))


def _allow_connections() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _run(clients: int, client: Callable[[int], Awaitable[list[int]]]) -> Counter[int]:
    _allow_connections()
    found = await asyncio.gather(*map(client, range(clients)))
    return Counter(status for statuses in found for status in statuses)


async def _send_once(port: int, request: bytes, delay: float) -> int:
    """Send an incomplete request after some seconds, and return the status of the response to it."""
    await asyncio.sleep(delay)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with closing(writer):
        return await _exchange(reader, writer, request)


async def _repeat(port: int, end: float, requests: Iterator[bytes], pause: float = 0) -> list[int]:
    """Send one request after the other, and connect again when the server closes the connection."""
    statuses = []
    while time.monotonic() < end:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with closing(writer):
            while time.monotonic() < end and not reader.at_eof():
                statuses.append(await _exchange(reader, writer, next(requests)))
                if not statuses[-1]:
                    break
                await asyncio.sleep(pause)
    return statuses


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    """Send the request until a response comes, and return its status."""
    response = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
    pieces = (request[start : start + PIECE_BYTES] for start in range(0, len(request), PIECE_BYTES))
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        with suppress(ConnectionError):
            while not response.done() and (piece := next(pieces, None)):
                writer.write(piece)
                await writer.drain()
        head = (await response).lower()
        await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        if b"connection: close" in head:
            reader.feed_eof()
        return int(head.split()[1])
    return 0
