"""Clients that send or hold more than a worker can keep."""

import asyncio
from typing import Any
from weakref import ref

import pytest

from tests.server.wire import connect, echo, exchange, on_a_loop, settle
from users_api.server import configuration
from users_api.server.memory import MemoryBudget

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
TOO_SMALL = (400, "The request body must not be split into chunks of a few bytes.")
OVERLOADED = (503, "The service is unavailable for the moment. Please try again.")


@pytest.mark.parametrize(
    ("chunks", "answer"),
    [
        ([b"x"] * 2_000, (200, b"x" * 2_000)),
        ([b"x"] * 3_000, TOO_SMALL),
        ([b"x" * 64] * 12_000, (200, b"x" * 64 * 12_000)),
        ([b"x" * 640_000] + [b"x"] * 12_000, (200, b"x" * 652_000)),
        ([b"x" * 640_000] + [b"x"] * 13_000, TOO_SMALL),
    ],
)
def test_a_body_in_many_small_chunks_is_rejected(chunks: list[bytes], answer: tuple[int, Any]) -> None:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)

    assert exchange(CHUNKED, body + b"0\r\n\r\n").responses == [answer]


def post(size: int) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size


@on_a_loop
async def test_a_body_that_exceeds_the_memory_budget_is_rejected() -> None:
    budget = MemoryBudget(200_000)
    holders = [connect(budget=budget) for _ in range(2)]
    small, again = connect(budget=budget), connect(budget=budget)

    for protocol, _ in holders:
        protocol.data_received(post(100_000) + b"x" * 90_000)
    small[0].data_received(post(16_384) + b"x" * 16_384)
    await settle(small[0])
    holders[0][0].data_received(b"x" * 10_000)
    await settle(holders[0][0])
    again[0].data_received(post(90_000) + b"x" * 90_000)
    await settle(again[0])

    assert [wire.responses for _, wire in (holders[0], holders[1], small, again)] == [
        [(200, b"x" * 100_000)],
        [OVERLOADED],
        [(200, b"x" * 16_384)],
        [(200, b"x" * 90_000)],
    ]
    assert b"\r\nretry-after: 1\r\n" in holders[1][1].sent


@on_a_loop
async def test_the_headers_that_a_client_holds_count() -> None:
    budget = MemoryBudget(200_000)
    partial, pipelined = (connect(budget=budget, head_bytes=65536) for _ in range(2))
    pipelined[0].pause_writing()

    partial[0].data_received(GET[:-2] + b"a:b\r\n" * 600)
    pipelined[0].data_received((GET[:-2] + b"a:b\r\n" * 100 + b"\r\n") * 20)

    assert partial[1].responses == [OVERLOADED]
    assert pipelined[0].parser is None
    for protocol, _ in (partial, pipelined):
        protocol.connection_lost(None)
        await settle(protocol)
    assert budget.hold_requests(100_000), "each byte was released"


@on_a_loop
async def test_a_pipelined_request_waits_until_the_response_before_it_is_read() -> None:
    protocol, wire = connect()
    wire.on_write = protocol.pause_writing

    protocol.data_received(GET + GET)
    await settle(protocol)
    before = len(wire.responses)
    protocol.resume_writing()
    await settle(protocol)

    assert (before, len(wire.responses)) == (1, 2)
    protocol.connection_lost(None)


@on_a_loop
async def test_a_large_body_is_read_in_pieces_with_pauses() -> None:
    protocol, wire = connect(large_bytes_per_second=1_000_000)

    protocol.data_received(post(300_000) + b"x" * 100_000)
    protocol.data_received(b"x" * 100_000)
    paused = list(wire.calls)
    await asyncio.sleep(0)
    still_paused = "resume_reading" not in wire.calls
    await asyncio.sleep(0.3)
    resumed = "resume_reading" in wire.calls
    protocol.data_received(b"x" * 100_000)
    await settle(protocol)

    assert "pause_reading" in paused
    assert still_paused
    assert resumed
    assert wire.responses == [(200, b"x" * 300_000)]
    protocol.connection_lost(None)


@on_a_loop
async def test_the_memory_of_pipelined_bodies_is_released_with_their_responses() -> None:
    budget = MemoryBudget(400_000)
    protocol, wire = connect(budget=budget)

    for _ in range(5):
        protocol.data_received(post(50_000) + b"x" * 50_000 + post(50_000) + b"y" * 50_000)
        await settle(protocol)
    protocol.data_received(post(50_000) + b"x" * 40_000)
    protocol.connection_lost(None)

    assert wire.responses == [(200, b"x" * 50_000), (200, b"y" * 50_000)] * 5
    assert budget.hold_requests(200_000), "each byte was released"


@on_a_loop
async def test_a_client_that_goes_on_sending_after_the_response_is_disconnected() -> None:
    async def refuse(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    protocol, wire = connect(refuse)
    protocol.data_received(post(10**12))
    await settle(protocol)

    sent = 0
    while "abort" not in wire.calls:
        protocol.data_received(b"x" * 1024**2)
        sent += 1

    assert wire.responses == [(404, b"")]
    assert sent == 17
    protocol.connection_lost(None)


@on_a_loop
async def test_a_client_that_goes_on_sending_to_a_closing_connection_is_disconnected() -> None:
    protocol, wire = connect()
    protocol.data_received(b"BREW / HTCPCP/1.0\r\n\r\n")

    for _ in range(16):
        protocol.data_received(b"x" * 1024**2)
    assert "abort" not in wire.calls
    protocol.data_received(b"x")

    assert "abort" in wire.calls
    protocol.connection_lost(None)


async def never(_scope: Any, receive: Any, _send: Any) -> None:
    """Wait for the disconnection instead of responding."""
    while (await receive())["type"] != "http.disconnect":
        pass


@on_a_loop
async def test_a_connection_waits_for_its_client_or_for_the_application() -> None:
    now = asyncio.get_running_loop().time()
    new, idle, head, body, second, busy, pipelined = (
        connect(app)[0] for app in (echo, echo, echo, never, echo, never, never)
    )

    idle.data_received(GET)
    second.data_received(GET)
    await settle(idle)
    await settle(second)
    for protocol, data in (
        (head, GET[:9]),
        (body, post(9)),
        (second, GET[:9]),
        (busy, GET),
        (pipelined, GET + GET[:9]),
    ):
        protocol.data_received(data)

    everyone = (new, idle, head, body, second, busy, pipelined)
    waits = [protocol.waiting_since is not None and protocol.waiting_since >= now for protocol in everyone]
    assert waits == [True, True, True, True, True, False, False]
    assert [protocol.is_idle for protocol in everyone[:5]] == [True, True, False, False, False]
    for protocol in everyone:
        protocol.connection_lost(None)
        await settle(protocol)


@on_a_loop
async def test_a_connection_makes_room_for_another() -> None:
    connections = idle, partial, closing, unread = [connect(app) for app in (echo, never, echo, echo)]
    partial[0].data_received(post(9) + b"x")
    closing[0].data_received(b"BREW / HTCPCP/1.0\r\n\r\n")
    unread[0].pause_writing()

    for protocol, _ in connections:
        assert protocol.waiting_since is not None
        protocol.evict()
        await settle(protocol)

    assert idle[1].calls == ["close"]
    assert (partial[1].responses, partial[1].calls[-1]) == ([OVERLOADED], "close")
    assert (len(closing[1].responses), closing[1].calls[-1]) == (1, "close")
    assert unread[1].calls == ["abort"]
    for protocol, _ in connections:
        protocol.connection_lost(None)


@on_a_loop
async def test_a_response_that_exceeds_the_memory_budget_disconnects_the_slowest_client() -> None:
    budget = MemoryBudget(2)
    clients = [connect(budget=budget) for _ in range(3)]

    for protocol, _ in clients:
        protocol.pause_writing()
    clients[2][0].resume_writing()
    clients[0][0].pause_writing()

    assert [wire.calls for _, wire in clients] == [["abort"], ["abort"], []]
    for protocol, _ in clients:
        protocol.connection_lost(None)


@on_a_loop
async def test_a_paused_connection_stays_paused_after_its_throttle() -> None:
    protocol, wire = connect()
    transport: Any = protocol.transport

    transport.throttle(0.01)
    transport.throttle(0.01)
    protocol.flow.pause_reading()
    await asyncio.sleep(0.1)
    paused = list(wire.calls)
    protocol.flow.resume_reading()

    assert paused == ["pause_reading", "pause_reading"]
    assert wire.calls == [*paused, "resume_reading"]
    protocol.connection_lost(None)


@on_a_loop
async def test_free_memory_is_returned_without_cycles() -> None:
    class Node:
        def __init__(self) -> None:
            self.itself = self

    cycle = ref(Node())
    with pytest.MonkeyPatch.context() as delays:
        delays.setattr(configuration, "TRIM_DELAYS_SECONDS", (0,))
        configuration.return_free_memory()
    await asyncio.sleep(0.1)

    assert cycle() is None
