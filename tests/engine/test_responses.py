"""How responses are sent: streams, files, closing, and what is corrected in them."""

import asyncio
import io
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import flask
import orjson
import pytest
from connexion.jsonifier import Jsonifier
from starlette import responses as starlette
from starlette.background import BackgroundTask

from tests.engine.test_responses_against_connexion import (
    JSON,
    MOMENT,
    TEXT,
    Outcome,
    compiled,
    seen,
    sent,
)
from users_api.engine.responses import Response, ReturnValueError, dumps, from_werkzeug


def test_the_engines_response_is_sent_as_it_is():
    response = Response(201, [(b"x-one", b"1")], b"body")

    assert compiled((TEXT,)).convert(response) is response
    assert sent(response) == (201, [("x-one", "1"), ("content-length", "4")], [b"body"])
    assert sent(response, "HEAD") == (201, [("x-one", "1"), ("content-length", "4")], [b""])


def test_a_wrong_content_length_is_corrected():
    headers = [(b"content-length", b"99"), (b"x-one", b"1")]

    response = Response(200, headers, b"body")

    assert response.headers == [(b"x-one", b"1"), (b"content-length", b"4")]
    assert headers == [(b"content-length", b"99"), (b"x-one", b"1")]


@pytest.mark.parametrize("status", [103, 204, 304])
def test_statuses_without_a_body_have_none(status):
    file = io.BytesIO(b"body")

    response = Response(
        status, [(b"content-length", b"4"), (b"content-type", b"text/plain"), (b"etag", b"1")], file
    )

    assert sent(response) == (status, [("etag", "1")], [b""])
    assert file.closed


def test_responses_can_be_made_of_json():
    response = Response.json({"at": MOMENT}, 201, [(b"etag", b'"1"')])

    assert seen(response) == Outcome(
        201, [("content-type", JSON), ("etag", '"1"')], {"at": "2026-11-27T02:30:00.000005+00:00"}
    )


def test_json_is_written_by_the_programs_own_jsonifier():
    responses = compiled((JSON,), jsonifier=Jsonifier(json, indent=3))

    assert responses.convert({"b": 1, "a": 2}).body == b'{\n   "b": 1,\n   "a": 2\n}\n'


def test_nan_is_rejected_by_the_json_fallback():
    assert dumps([float("nan")]) == b"[null]"
    with pytest.raises(ValueError, match="JSON compliant"):
        dumps({1: float("nan")})


def test_surrogates_from_a_jsonifier_are_refused():
    responses = compiled((JSON,), jsonifier=Jsonifier(json, ensure_ascii=False))

    with pytest.raises(ReturnValueError, match="a lone surrogate"):
        responses.convert("\ud800")


class ClosableIterator:
    """An iterator that records when it is closed."""

    def __init__(self, *chunks: Any) -> None:
        self.chunks, self.closed = iter(chunks), 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self.chunks)

    def close(self) -> None:
        self.closed += 1


async def asynchronous(*chunks: Any) -> AsyncIterator[Any]:
    for chunk in chunks:
        yield chunk


def test_asynchronous_iterators_are_streamed():
    response = compiled((TEXT,)).convert(asynchronous("é", b"b"))

    assert sent(response) == (200, [("content-type", "text/plain; charset=utf-8")], ["é".encode(), b"b", b""])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_streams_are_closed(method):
    source, closed = ClosableIterator("a", b"b"), []

    sent(Response(200, [], source, lambda: closed.append(1)), method)

    assert (source.closed, closed) == (1, [1])


def test_a_stream_that_fails_is_closed():
    source = ClosableIterator("a", 5)

    with pytest.raises(ReturnValueError, match="a stream yielded a value of type int"):
        sent(Response(200, [], source), asgi={"spec_version": "2.4"})

    assert source.closed == 1


def test_a_stream_ends_when_the_client_disconnects():
    source = ClosableIterator()
    source.chunks = itertools.repeat(b"a")
    response = Response(200, [], source)
    begun = asyncio.Event()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            begun.set()

    async def receive() -> Any:
        await begun.wait()
        return {"type": "http.disconnect"}

    with ThreadPoolExecutor(
        1
    ) as pool:  # A task is cancelled, which breaks coverage of this thread on Python 3.11.
        pool.submit(asyncio.run, response.send({"type": "http", "method": "GET"}, send, receive)).result()

    assert source.closed == 1


def test_a_stream_ends_when_sending_fails():
    source = ClosableIterator()
    source.chunks = itertools.repeat(b"a")

    async def send(_message: Any) -> None:
        raise OSError

    scope = {"type": "http", "method": "GET", "asgi": {"spec_version": "2.4"}}
    asyncio.run(Response(200, [], source).send(scope, send))

    assert source.closed == 1


def test_generators_do_not_block_the_loop():
    async def both() -> list[bytes]:
        started = asyncio.Event()
        loop = asyncio.get_running_loop()
        chunks: list[bytes] = []

        def generate() -> Iterator[bytes]:
            asyncio.run_coroutine_threadsafe(started.wait(), loop).result(5)
            yield b"a"

        async def send(message: Any) -> None:
            chunks.append(message.get("body"))

        sending = asyncio.create_task(
            Response(200, [], generate()).send({"type": "http", "method": "GET"}, send)
        )
        await asyncio.sleep(0)
        started.set()
        await sending
        return chunks

    assert asyncio.run(both()) == [None, b"a", b""]


def test_call_on_close_functions_are_called():
    calls: list[str] = []
    response = flask.Response("a")
    response.call_on_close(lambda: calls.append("closed"))

    converted = from_werkzeug(response)

    assert calls == []
    assert sent(converted)[2] == [b"a"]
    assert calls == ["closed"]


def test_autocorrect_location_header_makes_locations_absolute():
    response = flask.Response(headers={"Location": "/there"})
    response.autocorrect_location_header = True

    with flask.Flask(__name__).test_request_context("/here"):
        converted = from_werkzeug(response)

    assert dict(converted.headers)[b"location"] == b"http://localhost/there"


def test_starlettes_own_responses_are_sent_by_starlette(tmp_path: Path):
    path = tmp_path / "file.txt"
    path.write_bytes(b"0123456789")
    calls: list[str] = []
    background = starlette.PlainTextResponse("a", background=BackgroundTask(calls.append, "done"))
    convert = compiled((TEXT,)).convert

    assert sent(convert(background))[2] == [b"a"]
    assert calls == ["done"]
    part = sent(
        convert(starlette.FileResponse(path)),
        headers=[(b"range", b"bytes=2-3")],
        asgi={"spec_version": "2.4"},
    )
    assert (part[0], b"".join(part[2])) == (206, b"23")
    streamed = starlette.StreamingResponse(asynchronous("a", "b"))
    assert sent(convert(streamed), asgi={"spec_version": "2.4"})[2] == [b"a", b"b", b""]
    assert sent(convert(starlette.FileResponse(path)), "HEAD")[2] == [b""]


def test_streams_are_collected(tmp_path: Path):
    path = tmp_path / "file.txt"
    path.write_bytes(b"0123456789")
    source = ClosableIterator("a", b"b")
    whole = Response(200, [], b"whole")

    collected = [asyncio.run(each.collect()) for each in (whole, Response(200, [(b"x", b"1")], source))]
    file = asyncio.run(compiled((TEXT,)).convert(starlette.FileResponse(path)).collect())

    assert collected[0] is whole
    assert (collected[1].headers, collected[1].body) == ([(b"x", b"1"), (b"content-length", b"2")], b"ab")
    assert source.closed == 1
    assert (file.status, file.body, dict(file.headers)[b"content-length"]) == (200, b"0123456789", b"10")


def test_asynchronous_close_is_awaited():
    calls: list[str] = []

    async def close() -> None:
        calls.append("closed")

    sent(Response(200, [], b"a", close))

    assert calls == ["closed"]


def test_a_subclass_of_response_is_sent_as_it_is():
    class Special(Response):
        pass

    response = Special(200, [], b"a")

    assert compiled((TEXT,)).convert(response) is response


def test_without_validation_everything_is_accepted():
    responses = compiled((JSON,))
    response = Response(500, [], orjson.dumps({}))

    assert asyncio.run(responses.validate(response)) is response
