"""Responses are checked after they have been sent, wherever they were made."""

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from connexion.middleware import MiddlewarePosition
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.engine.programs import operation, path_parameter, program
from tests.support.virtual_time import run_in_virtual_time
from users_api.engine import App, Response
from users_api.engine.pages import Pages
from users_api.engine.response_checks import MAX_BATCH, MAX_BODY_BYTES
from users_api.engine.responses import NEVER_DISCONNECTS
from users_api.engine.violations import Violation

NUMBER = {"application/json": {"schema": {"type": "integer", "maximum": 5}}}
TEXTS = {"application/json": {"schema": {"type": "array", "items": {"type": "string"}}}}
NOT_ALLOWED = {"description": "", "headers": {"Allow": {"required": True, "schema": {"enum": ["GET"]}}}}
FAILED = {"description": "", "content": {"application/problem+json": {"schema": {"required": ["code"]}}}}
JSON = (b"content-type", b"application/json")
Answer = Callable[[], Any]
Found = list[tuple[str, int, list[Violation]]]


def ok(content: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the Responses Object of an operation with one successful response."""
    return {"200": {"description": "", "content": content}, **more}


class Stage:
    """An application whose handlers return what a test wants, and the violations that it reports."""

    def __init__(self, answer: Answer = lambda: 9, rate: float = 1, **options: Any) -> None:
        async def number() -> Any:
            return answer()

        async def texts() -> Any:
            return answer()

        async def thing(id: int) -> Any:  # noqa: A002 -- the document's name.
            return id

        paths = {
            "/number": {
                "get": operation("number", responses=ok(NUMBER, **{"304": {"description": ""}})),
                "put": operation("texts", responses=ok(TEXTS, **{"405": NOT_ALLOWED})),
            },
            "/texts": {"get": operation("texts2", responses=ok(TEXTS))},
            "/things/{id}": {
                "get": operation(
                    "thing", path_parameter("id", type="integer"), responses=ok(NUMBER, **{"404": FAILED})
                ),
            },
        }
        named = {"number": number, "texts": texts, "texts2": texts, "thing": thing}
        self.found: Found = []
        self.app = App(
            __name__,
            resolver=named.__getitem__,
            strict_validation=True,
            check_responses=rate,
            on_violation=lambda *violation: self.found.append(violation),
            **options,
        )
        self.app.add_api(program(paths).apis[0].document.root)

    def ask(self, path: str, method: str = "GET", times: int = 1) -> list[Message]:
        """Send requests, and return the messages of the last response once all checks are over."""
        return asyncio.run(self._ask(path, method, times))

    async def _ask(self, path: str, method: str, times: int) -> list[Message]:
        for _ in range(times):
            sent = await ask(self.app, path, method)
        for _ in range(3):
            await asyncio.sleep(0)
        return sent


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    """Yield the chunks."""
    for chunk in chunks:
        yield chunk


def scope(path: str, method: str = "GET", kind: str = "http") -> Scope:
    """Return the scope of a request."""
    return {
        "type": kind,
        "asgi": {"spec_version": "2.4"},
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
    }


async def ask(app: ASGIApp, path: str, method: str = "GET", kind: str = "http") -> list[Message]:
    """Send a request, and return the messages of its response."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope(path, method, kind), NEVER_DISCONNECTS, send)
    return sent


def test_a_response_is_sent_unchanged_and_then_checked() -> None:
    stage = Stage()

    sent = stage.ask("/number")

    assert [(each.get("status"), each.get("body")) for each in sent] == [(200, None), (None, b"9")]
    assert stage.found == [("number", 200, [("/body", "maximum")])]


def test_the_check_runs_after_the_last_byte_was_handed_to_the_server() -> None:
    stage, events = Stage(), list[str]()
    stage.app.on_violation = lambda *_: events.append("checked")

    async def send(message: Message) -> None:
        for _ in range(5):
            await asyncio.sleep(0)  # As if the client was slow.
        events.append(message["type"])

    async def main() -> None:
        await stage.app(scope("/number"), NEVER_DISCONNECTS, send)
        events.append("returned")
        await asyncio.sleep(0)

    asyncio.run(main())

    assert events == ["http.response.start", "http.response.body", "returned", "checked"]


def test_a_conforming_response_is_no_violation() -> None:
    stage = Stage(lambda: 5)

    stage.ask("/number")
    stage.ask("/things/5")

    assert stage.found == []


def test_a_failure_is_checked_like_any_other_response() -> None:
    stage = Stage()

    stage.ask("/things/none")

    assert stage.found == [("thing", 404, [("/body/code", "required")])]


@pytest.mark.parametrize(
    ("answer", "violation"),
    [
        (lambda: 1 / 0, (500, "/status", "responses")),
        (lambda: Response(304, [JSON]), None),
        (lambda: Response(201, [JSON], b"1"), (201, "/status", "responses")),
        (lambda: Response(200, [], b"1"), (200, "/headers/Content-Type", "required")),
        (
            lambda: Response(200, [(b"content-type", b"text/html")], b"1"),
            (200, "/headers/Content-Type", "content"),
        ),
    ],
)
def test_each_part_of_a_response_is_checked(answer: Answer, violation: tuple[int, str, str] | None) -> None:
    stage = Stage(answer)

    stage.ask("/number")

    assert stage.found == ([("number", violation[0], [violation[1:]])] if violation else [])


def test_the_response_to_head_has_no_body_to_check() -> None:
    stage = Stage()

    stage.ask("/number", "HEAD")
    stage.ask("/things/none", "HEAD")

    assert stage.found == []


def test_405_is_checked_for_each_operation_of_the_path() -> None:
    stage = Stage()

    stage.ask("/number", "DELETE")

    assert stage.found == [
        ("number", 405, [("/status", "responses")]),
        ("texts", 405, [("/headers/Allow", "enum")]),
    ]


@pytest.mark.parametrize("path", ["/nowhere", "/number/", "/texts"])
def test_responses_of_no_operation_are_not_checked(path: str) -> None:
    pages = Pages({})
    pages.add("/texts", lambda _: StreamingResponse(stream(b"a page")))
    stage = Stage(pages=pages)

    stage.ask(path)

    assert stage.found == []


class Rejecting:
    """Middleware that responds itself, as a rate limit does."""

    def __init__(self, _app: ASGIApp, status: int) -> None:
        self.status = status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Response(self.status, [JSON], b"1").send(scope, send, receive)


@pytest.mark.parametrize(
    ("method", "status", "names"),
    [("GET", 429, ["number"]), ("OPTIONS", 204, []), ("OPTIONS", 405, ["number", "texts"])],
)
def test_the_response_of_middleware_belongs_to_the_operation(
    method: str, status: int, names: list[str]
) -> None:
    stage = Stage()
    stage.app.add_middleware(Rejecting, MiddlewarePosition.BEFORE_EXCEPTION, status=status)

    stage.ask("/number", method)

    assert [(name, found) for name, found, _ in stage.found] == [(name, status) for name in names]


def test_a_stream_is_checked_once_it_is_complete() -> None:
    stage = Stage(lambda: StreamingResponse(stream(b'["a", ', b"1]"), media_type="application/json"))

    assert len(stage.ask("/texts")) >= 3
    assert stage.found == [("texts2", 200, [("/body/1", "type")])]


def test_of_a_large_or_compressed_body_only_the_head_is_checked() -> None:
    large = b'["' + b"a" * MAX_BODY_BYTES + b'", 1]'
    head = [JSON, (b"content-encoding", b"gzip")]
    answers = [
        Response(200, [JSON], large),
        StreamingResponse(stream(large, b" "), media_type="application/json"),
        Response(200, head, gzip.compress(b"[1]")),
        Response(200, [(b"content-type", b"text/plain")], large),
    ]
    stage = Stage(lambda: answers.pop(0))

    stage.ask("/texts", times=4)

    assert stage.found == [("texts2", 200, [("/headers/Content-Type", "content")])]


@pytest.mark.parametrize("rate", [1, 0.5, 0.3, 0.1, 0.01])
def test_a_repeated_violation_is_noticed_within_one_block_of_requests(rate: float) -> None:
    stage = Stage(rate=rate)

    async def main() -> None:
        for _ in range(-int(-1 // rate)):
            await ask(stage.app, "/number")
        await asyncio.sleep(60)

    run_in_virtual_time(main())

    assert 1 <= len(stage.found) <= 2


def test_rare_checks_wait_for_each_other_but_not_for_long() -> None:
    stage = Stage(rate=0.01)

    async def main() -> tuple[list[int], list[int]]:
        early, late = [], []
        for _ in range(100 * (MAX_BATCH - 1)):
            await ask(stage.app, "/number")
            await asyncio.sleep(0)
            early.append(len(stage.found))
        for _ in range(100):
            await ask(stage.app, "/number")
        await asyncio.sleep(0)
        late.append(len(stage.found))
        for _ in range(200):
            await ask(stage.app, "/number")
        await asyncio.sleep(0.2)
        return early, [*late, len(stage.found)]

    early, late = run_in_virtual_time(main())

    assert set(early) == {0}
    assert late == [MAX_BATCH, MAX_BATCH + 2]


def test_large_responses_do_not_wait() -> None:
    stage = Stage(lambda: Response(200, [JSON], b'["' + b"a" * 70_000 + b'", 1]'), rate=0.1)

    stage.ask("/texts", times=10)

    assert stage.found == [("texts2", 200, [("/body/1", "type")])]


def test_without_a_rate_there_is_nothing_around_the_application() -> None:
    with_checks, without = Stage(rate=0.5).app.build(), Stage(rate=0).app.build()

    assert type(with_checks).__name__ == "ResponseChecks"
    assert without.__name__ == "_serve"


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_rate_is_a_share(rate: float) -> None:
    with pytest.raises(ValueError, match="check_responses must be from 0 to 1, not"):
        Stage(rate=rate)


def test_other_messages_pass() -> None:
    stage = Stage()

    class Hinting:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.early_hint", "links": []})
            await self.app(scope, receive, send)

    stage.app.add_middleware(Hinting, MiddlewarePosition.BEFORE_EXCEPTION)

    assert [message["type"].rpartition(".")[2] for message in stage.ask("/number")] == [
        "early_hint",
        "start",
        "body",
    ]
    assert stage.found == [("number", 200, [("/body", "maximum")])]


def test_other_protocols_pass() -> None:
    stage, kinds = Stage(), list[str]()

    class Passing:
        def __init__(self, _app: ASGIApp) -> None:
            """Ignore the application."""

        async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
            kinds.append(scope["type"])
            assert not hasattr(send, "scope")

    stage.app.add_middleware(Passing, MiddlewarePosition.BEFORE_EXCEPTION)

    asyncio.run(ask(stage.app, "/number", kind="websocket"))

    assert kinds == ["websocket"]


def test_violations_are_logged_unless_the_program_does_something_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = Stage()
    stage.app.on_violation = App("other").on_violation

    with caplog.at_level(logging.ERROR):
        stage.ask("/number")

    assert caplog.messages == ["number returned 200, which violates the document at /body (maximum)"]


def test_an_exception_of_the_callback_reaches_the_event_loop_only() -> None:
    stage, failures = Stage(), list[str]()

    def fail(*_: Any) -> None:
        raise LookupError

    async def main() -> list[Message]:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: failures.append(type(context["exception"]).__name__)
        )
        sent = await ask(stage.app, "/number")
        await asyncio.sleep(0)
        return sent

    stage.app.on_violation = fail

    assert asyncio.run(main())[0]["status"] == 200
    assert failures == ["LookupError"]


def test_what_cannot_be_checked_is_refused_at_startup() -> None:
    xml = {"200": {"description": "", "content": {"application/xml": {"schema": {"type": "object"}}}}}
    paths = {"/x": {"get": operation("handle", responses=xml)}}

    program(paths, handle).build()
    with pytest.raises(ValueError, match="bodies of application/xml are not parsed"):
        program(paths, handle, check_responses=0.01).build()


def handle() -> Any:
    """Return nothing."""
