"""Bodies are read completely, within limits of size and time."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from users_api.engine.body_reader import (
    BodyReader,
    BodyTimeout,
    BodyTooLarge,
    ClientDisconnected,
    replay_body,
)

CHUNKED = [(b"transfer-encoding", b"chunked")]


def read(reader: BodyReader, headers: list[tuple[bytes, bytes]], *messages: dict[str, Any]) -> bytes:
    """Return the body from the messages."""
    return asyncio.run(reader.read(dict(headers), channel(messages)))


def channel(messages: Iterable[dict[str, Any]]) -> Any:
    """Return a receive channel that yields the messages, then blocks."""
    waiting = list(messages)

    async def receive() -> Any:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    return receive


def chunk(body: bytes, *, more: bool = False) -> dict[str, Any]:
    """Return a message with a part of a body."""
    return {"type": "http.request", "body": body, "more_body": more}


def test_the_parts_of_a_body_are_put_together() -> None:
    assert read(BodyReader(None, None), CHUNKED, chunk(b"a", more=True), chunk(b"b")) == b"ab"


def test_without_a_length_or_chunks_the_body_is_empty() -> None:
    assert read(BodyReader(10, 1), []) == b""


@pytest.mark.parametrize("length", [b"11", b"0011", b"9" * 5000])
def test_a_body_that_is_announced_as_too_large_is_not_read(length: bytes) -> None:
    with pytest.raises(BodyTooLarge) as caught:
        read(BodyReader(10, 1), [(b"content-length", length)])

    assert caught.value.detail == "The request body must not be larger than 10 bytes."
    assert caught.value.headers == {"Connection": "close"}


@pytest.mark.parametrize(
    ("size", "words"), [(1024**2, "1 MiB"), (1024 * 5, "5 KiB"), (1025, "1025 bytes"), (3 * 1024**2, "3 MiB")]
)
def test_limits_are_named_in_the_largest_unit(size: int, words: str) -> None:
    assert BodyTooLarge(size).detail == f"The request body must not be larger than {words}."


def test_a_body_that_becomes_too_large_is_not_read_further() -> None:
    with pytest.raises(BodyTooLarge):
        read(BodyReader(3, 1), CHUNKED, chunk(b"ab", more=True), chunk(b"cd", more=True))


def test_a_body_that_does_not_arrive_times_out() -> None:
    with pytest.raises(BodyTimeout) as caught:
        read(BodyReader(10, 0.01), CHUNKED, chunk(b"ab", more=True))

    assert caught.value.detail == "The request body did not arrive within 0.01 seconds."


def test_a_client_that_disconnects_ends_the_request() -> None:
    with pytest.raises(ClientDisconnected):
        read(BodyReader(None, None), CHUNKED, chunk(b"ab", more=True), {"type": "http.disconnect"})


def test_a_body_can_be_read_again() -> None:
    async def twice() -> list[Any]:
        receive = replay_body(b"ab", channel([{"type": "http.disconnect"}]))
        return [await receive(), await receive()]

    assert asyncio.run(twice()) == [chunk(b"ab"), {"type": "http.disconnect"}]
