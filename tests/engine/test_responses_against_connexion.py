"""Return values of handlers, compared with Connexion: the same request to a stock FlaskApp and to the engine.

`DEVIATIONS` is the table of the differences: a return value, what stock Connexion makes of it, and what the
engine does.
"""

import asyncio
import dataclasses
import datetime as dt
import enum
import io
import json
import uuid
from collections.abc import Callable
from decimal import Decimal
from http import HTTPStatus
from typing import Any, NamedTuple

import connexion
import flask
import pytest
import werkzeug
from connexion.datastructures import NoContent
from connexion.exceptions import NonConformingResponseHeaders
from connexion.lifecycle import ConnexionResponse
from connexion.problem import problem
from starlette import responses as starlette

from users_api.engine.document import Document
from users_api.engine.responses import Response, ReturnValueError
from users_api.engine.return_values import Responses
from users_api.engine.schemas import Schemas

JSON, TEXT, OCTETS = "application/json", "text/plain", "application/octet-stream"
SEVERAL = (JSON, TEXT, OCTETS)


MOMENT = dt.datetime(2026, 11, 27, 2, 30, 0, 5, tzinfo=dt.UTC)


class Status(enum.Enum):
    CREATED = 201


class Colour(enum.StrEnum):
    RED = "red"


class Plain(enum.Enum):
    ONE = 1


@dataclasses.dataclass
class Point:
    x: int
    _y: int


class Markup:
    def __html__(self):
        return "<b>"


def _flask(*arguments: Any, **named: Any) -> flask.Response:
    return flask.Response(*arguments, **named)


def _cookies() -> flask.Response:
    response = flask.make_response("text", 202)
    response.set_cookie("a", "1")
    response.set_cookie("b", "2", httponly=True)
    return response


def _changed_jsonify() -> Any:
    return flask.jsonify(a=1), 201, {"X-Kind": "tuple", "Set-Cookie": "a=1"}


def _streamed() -> flask.Response:
    return flask.Response(flask.stream_with_context(f"{flask.request.path[:1]}{n}" for n in range(3)))


def _without_body(status: int) -> Callable[[], Any]:
    return lambda: flask.Response("gone", status, {"Content-Type": "text/plain"})


def _circular() -> list[Any]:
    whole: list[Any] = []
    whole.append(whole)
    return whole


SAME: dict[str, tuple[tuple[str, ...], Callable[[], Any]]] = {
    "dict": ((JSON,), lambda: {"b": 1, "a": [1.5, None, True, "é"]}),
    "list": ((JSON,), lambda: [1, 2]),
    "str as JSON": ((JSON,), lambda: "text"),
    "number": ((JSON,), lambda: 7),
    "false": ((JSON,), lambda: False),
    "dict as problem": (("application/problem+json",), lambda: {"a": 1}),
    "datetime": ((JSON,), lambda: [MOMENT, MOMENT.replace(tzinfo=None), MOMENT.date()]),
    "Decimal and UUID": ((JSON,), lambda: [Decimal("1.5"), uuid.UUID(int=5)]),
    "enum of strings": ((JSON,), lambda: [Colour.RED, HTTPStatus.OK]),
    "dataclass": ((JSON,), lambda: Point(1, 2)),
    "markup": ((JSON,), Markup),
    "keys that are numbers": ((JSON,), lambda: {1: "a", 2: "b"}),
    "integer of 80 bits": ((JSON,), lambda: 2**80),
    "lone surrogate": ((JSON,), lambda: "\ud800"),
    "(body, status)": ((JSON,), lambda: ({"a": 1}, 201)),
    "(body,)": ((JSON,), lambda: ({"a": 1},)),
    "(body, HTTPStatus)": ((JSON,), lambda: ({"a": 1}, HTTPStatus.CREATED)),
    "(body, Enum)": ((JSON,), lambda: ({"a": 1}, Status.CREATED)),
    "(body, headers)": ((JSON,), lambda: ({"a": 1}, {"X-One": "1"})),
    "(body, status, headers)": ((JSON,), lambda: ({"a": 1}, 201, {"X-One": "1", "x-two": "2"})),
    "(body, None, headers)": ((JSON,), lambda: ({"a": 1}, None, {"X-One": " 1 "})),
    "(body, text of a status)": ((JSON,), lambda: ({"a": 1}, "201 CREATED", {})),
    "(body, status, list in headers)": ((JSON,), lambda: ({}, 200, {"Set-Cookie": ["a=1", "b=2"]})),
    "(body, status, Content-Type)": (SEVERAL, lambda: ({"a": 1}, 200, {"Content-Type": JSON})),
    "(text, status, Content-Type)": (SEVERAL, lambda: ("a", 200, {"content-type": TEXT})),
    "(None, 200)": ((JSON,), lambda: (None, 200)),
    "(NoContent, 201)": ((JSON,), lambda: (NoContent, 201)),
    "(None, 200, Content-Type)": (SEVERAL, lambda: (None, 200, {"Content-Type": TEXT})),
    "text": ((TEXT,), lambda: "é"),
    "HTML": (("text/html",), lambda: ("<p>", 404)),
    "XML": (("application/xml",), lambda: "<a/>"),
    "bytes": ((OCTETS,), lambda: b"\xff"),
    "bytearray": ((OCTETS,), lambda: bytearray(b"\xff")),
    "image": (("image/png",), lambda: b"\x89PNG"),
    "list of texts": ((TEXT,), lambda: ["a", "é"]),
    "several, str": (SEVERAL, lambda: "text"),
    "several, bytes": (SEVERAL, lambda: b"bytes"),
    "several, generator": (SEVERAL, lambda: (str(n) for n in range(3))),
    "generator": ((TEXT,), lambda: (str(n) for n in range(3))),
    "generator and status": ((TEXT,), lambda: ((str(n) for n in range(3)), 206)),
    "iterator": ((OCTETS,), lambda: iter([b"a", b"b"])),
    "file": ((OCTETS,), lambda: io.BytesIO(b"one\ntwo\n")),
    "undocumented media types": ((), lambda: {"a": 1}),
    "ConnexionResponse": ((JSON,), lambda: ConnexionResponse(201, content_type=JSON, body='{"a":1}')),
    "ConnexionResponse of text": (
        (JSON,),
        lambda: ConnexionResponse(content_type=TEXT, body="a", headers={"X": "1"}),
    ),
    "ConnexionResponse of a header": (
        (JSON,),
        lambda: ConnexionResponse(body=b"a", headers={"Content-Type": TEXT}),
    ),
    "ConnexionResponse of no type": ((JSON,), lambda: ConnexionResponse(body="a")),
    "ConnexionResponse without body": ((JSON,), lambda: ConnexionResponse(205, content_type=JSON)),
    "problem": (
        (JSON,),
        lambda: problem(418, "Teapot", "short", instance="/a", ext={"b": 1}, headers={"X": "1"}),
    ),
    "Flask response": ((JSON,), lambda: _flask("text", 202, {"X-One": "1"})),
    "Werkzeug response": ((JSON,), lambda: werkzeug.Response(b"a", 202)),
    "jsonify": ((JSON,), lambda: flask.jsonify(a=1)),
    "(jsonify, status, headers)": ((JSON,), _changed_jsonify),
    "(Flask response, status)": ((JSON,), lambda: (_flask("a"), 201)),
    "(Flask response,)": ((JSON,), lambda: (_flask("a"),)),
    "redirect": ((JSON,), lambda: flask.redirect("/é")),
    "cookies": ((JSON,), _cookies),
    "streamed": ((JSON,), _streamed),
    "send_file": ((JSON,), lambda: flask.send_file(io.BytesIO(b"content"), mimetype=OCTETS)),
    "send_file, conditional": ((JSON,), lambda: flask.send_file(__file__, last_modified=1)),
    "Flask response without body": ((JSON,), _without_body(304)),
}


class Deviation(NamedTuple):
    """The outcomes of a return value in stock Connexion and in the engine, and the reason."""

    media_types: tuple[str, ...]
    handler: Callable[[], Any]
    stock: object
    engine: object
    why: str


DEVIATIONS: dict[str, Deviation] = {
    "None": Deviation(
        (JSON,),
        lambda: None,
        (204, JSON, b""),
        (204, None, b""),
        "no content has no Content-Type (RFC 9110, 8.3)",
    ),
    "NoContent": Deviation((JSON,), lambda: (NoContent, 204), (204, JSON, b""), (204, None, b""), "the same"),
    "Flask response of 204": Deviation(
        (JSON,), _without_body(204), (204, "text/plain", b""), (204, None, b""), "the same"
    ),
    "(None, 200), nothing documented": Deviation(
        (),
        lambda: (None, 200),
        (200, "text/html; charset=utf-8", b""),
        (200, None, b""),
        "Flask's default means nothing",
    ),
    "several, None": Deviation(
        SEVERAL, lambda: None, 500, (204, None, b""), "no content needs no media type"
    ),
    "several, (None, 200)": Deviation(SEVERAL, lambda: (None, 200), 500, (200, None, b""), "the same"),
    "several, (Flask response, status)": Deviation(
        SEVERAL,
        lambda: (_flask("a"), 201),
        500,
        (201, "text/html; charset=utf-8", b"a"),
        "a response says its media type itself",
    ),
    "Content-Type with parameters": Deviation(
        (JSON,),
        lambda: ({}, 200, {"Content-Type": "application/json; charset=utf-8"}),
        500,
        (200, "application/json; charset=utf-8", {}),
        "parameters do not make another media type",
    ),
    "charset": Deviation(
        ("text/plain;charset=utf-8",),
        lambda: "a",
        (200, "text/plain;charset=utf-8; charset=utf-8", b"a"),
        (200, "text/plain;charset=utf-8", b"a"),
        "one charset is enough",
    ),
    "range": Deviation(("*/*",), dict, (200, "*/*", b""), (200, JSON, {}), "a range is no Content-Type"),
    "range and Content-Type": Deviation(
        ("image/*",),
        lambda: (b"a", 200, {"Content-Type": "image/png"}),
        500,
        (200, "image/png", b"a"),
        "the range covers it",
    ),
    "range and text": Deviation(
        ("text/*",),
        lambda: "a",
        (200, "text/*; charset=utf-8", b"a"),
        (200, "text/plain; charset=utf-8", b"a"),
        "the same",
    ),
    "mimetype": Deviation(
        (JSON,),
        lambda: ConnexionResponse(mimetype="text/csv", body="a"),
        (200, "text/html; charset=utf-8", b"a"),
        (200, "text/csv; charset=utf-8", b"a"),
        "Connexion's own error handlers look at mimetype",
    ),
    "NaN": Deviation(
        (JSON,), lambda: [float("nan")], (200, JSON, b"NaN"), (200, JSON, [None]), "NaN is not JSON"
    ),
    "enum": Deviation((JSON,), lambda: Plain.ONE, 500, (200, JSON, 1), "orjson writes the value"),
    "keys of several types": Deviation(
        (JSON,), lambda: {1: 1, "a": 2}, 500, (200, JSON, {"1": 1, "a": 2}), "keys are not sorted"
    ),
    "pairs of headers": Deviation(
        (JSON,), lambda: ({}, 200, [("X", "1"), ("X", "2")]), 500, (200, JSON, {}), "headers may be repeated"
    ),
    "(body, text of a status)": Deviation(
        (JSON,), lambda: ({}, "201 CREATED"), 500, (201, JSON, {}), "as in a triple"
    ),
    "(body, Enum, headers)": Deviation(
        (JSON,), lambda: ({}, Status.CREATED, {}), 500, (201, JSON, {}), "as in a pair"
    ),
    "(body, status, None)": Deviation(
        (JSON,), lambda: ({}, 201, None), 500, (201, JSON, {}), "None means not given"
    ),
    "dict as text": Deviation(
        (TEXT,),
        lambda: {"a": 1},
        (200, "text/plain; charset=utf-8", b"a"),
        ReturnValueError,
        "its keys are not a body",
    ),
    "status 999": Deviation(
        (JSON,), lambda: ({}, 999), (999, JSON, {}), ReturnValueError, "HTTP has no such status"
    ),
    "status true": Deviation((JSON,), lambda: ({}, True), (1, JSON, {}), ReturnValueError, "the same"),
    "engine's response": Deviation(
        (JSON,), lambda: Response.json({"a": 1}), 500, (200, JSON, {"a": 1}), "it is new"
    ),
    "Starlette response": Deviation(
        (JSON,),
        lambda: starlette.JSONResponse({"a": 1}),
        500,
        (200, JSON, {"a": 1}),
        "FlaskApp knows only Flask's",
    ),
}


REFUSED: dict[str, tuple[tuple[str, ...], Callable[[], Any], str]] = {
    "set": ((JSON,), lambda: {"secret"}, "a value of type set that is not JSON-serializable"),
    "nested": ((JSON,), lambda: {"a": {"secret"}}, "not JSON-serializable (Object of type set"),
    "object": ((JSON,), object, "a value of type object"),
    "bytes as JSON": ((JSON,), lambda: b"secret", "a value of type bytes"),
    "circular": ((JSON,), _circular, "Circular reference detected"),
    "4-tuple": ((JSON,), lambda: ("secret", 200, {}, 4), "a tuple of 4"),
    "empty tuple": ((JSON,), tuple, "a tuple of 0"),
    "status abc": ((JSON,), lambda: ({}, "abc"), "a status that is not a number from 100 to 599"),
    "status in a triple": ((JSON,), lambda: ({}, "20", {}), "a status that is not a number from 100 to 599"),
    "status in an Enum": ((JSON,), lambda: ({}, Colour.RED), "a status that is not a number from 100 to 599"),
    "headers that are a number": ((JSON,), lambda: ({}, 200, 5), "headers that are neither"),
    "headers that are no pairs": ((JSON,), lambda: ({}, 200, ["secret"]), "headers that are neither"),
    "line break in a header": ((JSON,), lambda: ({}, 200, {"X": "a\r\nY: b"}), "HTTP does not allow"),
    "name of a header": ((JSON,), lambda: ({}, 200, {"X Y": "a"}), "HTTP does not allow"),
    "header beyond latin-1": ((JSON,), lambda: ({}, 200, {"X": "€"}), "HTTP does not allow"),
    "number as text": ((TEXT,), lambda: 5, "a value of type int for a media type that is not JSON"),
    "set as text": ((TEXT,), lambda: {"secret"}, "a value of type set for a media type that is not JSON"),
    "list of numbers as text": ((TEXT,), lambda: [5], "a list with a value of type int in it"),
    "surrogate as text": ((TEXT,), lambda: "\ud800", "text with a lone surrogate"),
    "ConnexionResponse of a dict": (
        (JSON,),
        lambda: ConnexionResponse(body={"secret": 1}),
        "a value of type dict",
    ),
    "ConnexionResponse in a tuple": (
        (JSON,),
        lambda: (ConnexionResponse(), 200),
        "of type ConnexionResponse",
    ),
}


UNDOCUMENTED: dict[str, tuple[tuple[str, ...], Callable[[], Any], str]] = {
    "several, dict": (SEVERAL, dict, "a value of type dict without Content-Type"),
    "two, str": ((JSON, "text/csv"), lambda: "a", "a value of type str without Content-Type"),
    "other type": (
        (JSON,),
        lambda: ("a", 200, {"Content-Type": TEXT}),
        "text/plain, which is not documented",
    ),
    "other type, none documented": ((), lambda: ("a", 200, {"Content-Type": TEXT}), "documented: none"),
}


def specification(cases: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """One operation for each case; no handler returns the first status."""
    return {
        "openapi": "3.0.3",
        "info": {"title": "responses", "version": "1"},
        "paths": {
            f"/{number}": {
                "get": {
                    "operationId": name,
                    "responses": {"203": {"description": "", "content": {each: {} for each in media_types}}},
                }
            }
            for number, (name, media_types) in enumerate(cases.items())
        },
    }


def compiled(media_types: tuple[str, ...], **options: Any) -> Responses:
    return compiled_definitions(
        {"203": {"description": "", "content": {each: {} for each in media_types}}}, **options
    )


def compiled_definitions(definitions: dict[str, Any], **options: Any) -> Responses:
    root = specification({"op": ()})
    root["paths"]["/0"]["get"]["responses"] = definitions
    document = Document(root)
    (node,) = document.operations()
    return Responses(
        node.operation["responses"],
        f"{node.pointer}/responses",
        document=document,
        schemas=Schemas(document.root),
        operation_id="op",
        **options,
    )


class Outcome(NamedTuple):
    """What a client receives; JSON may differ in whitespace, and therefore in length."""

    status: int
    headers: list[tuple[str, str]]
    value: Any


def outcome(status: int, headers: list[tuple[str, str]], body: bytes) -> Outcome:
    """Return what is compared; the second may change between two responses, and with it their date."""
    headers = [each for each in headers if each[0] != "date"]
    kind = dict(headers).get("content-type", "")
    if not body or "json" not in kind:
        return Outcome(status, sorted(headers), body)
    return Outcome(status, sorted(each for each in headers if each[0] != "content-length"), json.loads(body))


def sent(
    response: Response, method: str = "GET", **scope: Any
) -> tuple[int, list[tuple[str, str]], list[bytes]]:
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    asyncio.run(response.send({"type": "http", "method": method, "headers": [], **scope}, send))
    start, *rest = messages
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
    assert all(message.get("more_body", False) for message in rest[:-1])
    assert not rest[-1].get("more_body", False)
    return start["status"], headers, [message["body"] for message in rest]


def seen(response: Response, method: str = "GET", **scope: Any) -> Outcome:
    status, headers, chunks = sent(response, method, **scope)
    return outcome(status, headers, b"".join(chunks))


@pytest.fixture(scope="module")
def stock():
    """Return Connexion's response for each case."""
    cases = {name: case[:2] for name, case in SAME.items()}
    cases |= {f"deviation: {name}": case[:2] for name, case in DEVIATIONS.items()}
    cases |= {f"undocumented: {name}": case[:2] for name, case in UNDOCUMENTED.items()}
    handlers = {name: handler for name, (_, handler) in cases.items()}
    app = connexion.FlaskApp(__name__)
    document = specification({name: media_types for name, (media_types, _) in cases.items()})

    def resolve(name: str) -> Callable[[], Any]:
        def handle() -> Any:
            return handlers[name]()

        return handle

    app.add_api(document, resolver=connexion.Resolver(resolve))
    with app.test_client(follow_redirects=False, raise_server_exceptions=False) as client:
        paths = {name: f"/{number}" for number, name in enumerate(cases)}
        yield lambda name, method="GET": client.request(method, paths[name])


def answered(response: Any) -> Outcome:
    return outcome(response.status_code, response.headers.multi_items(), response.content)


def returned(handler: Callable[[], Any]) -> Any:
    """Call a handler as a request would."""
    with flask.Flask(__name__).test_request_context("/"):
        return handler()


@pytest.mark.parametrize("name", SAME)
def test_return_values_are_converted_as_in_connexion(stock, name):
    media_types, handler = SAME[name]

    response = compiled(media_types).convert(returned(handler))

    assert seen(response) == answered(stock(name))


@pytest.mark.parametrize("name", ["dict", "text", "generator", "cookies", "send_file", "streamed"])
def test_head_is_answered_with_the_headers_of_get(stock, name):
    media_types, handler = SAME[name]

    response = compiled(media_types).convert(returned(handler))
    status, headers, chunks = sent(response, "HEAD")

    assert (status, chunks) == (200 if name != "cookies" else 202, [b""])
    assert headers == sent(compiled(media_types).convert(returned(handler)))[1]


@pytest.mark.parametrize("name", DEVIATIONS)
def test_deviations_are_as_the_table_says(stock, name):
    deviation = DEVIATIONS[name]
    response = stock(f"deviation: {name}")
    status, headers, value = answered_leniently(response)
    assert (status if isinstance(deviation.stock, int) else (status, headers.get("content-type"), value)) == (
        deviation.stock
    )

    if isinstance(deviation.engine, type):
        with pytest.raises(deviation.engine):
            compiled(deviation.media_types).convert(returned(deviation.handler))
    else:
        whole = seen(compiled(deviation.media_types).convert(returned(deviation.handler)))
        assert (whole.status, dict(whole.headers).get("content-type"), whole.value) == deviation.engine


def answered_leniently(response: Any) -> tuple[int, Any, Any]:
    """Return the parts of a response; NaN is shown as bytes."""
    if (
        response.content
        and "json" in response.headers.get("content-type", "")
        and b"NaN" not in response.content
    ):
        return response.status_code, response.headers, response.json()
    return response.status_code, response.headers, b"NaN" if b"NaN" in response.content else response.content


@pytest.mark.parametrize("name", REFUSED)
def test_unsendable_values_are_not_in_the_error_message(name):
    media_types, handler, reason = REFUSED[name]

    with pytest.raises(ReturnValueError) as caught:
        compiled(media_types).convert(returned(handler))

    assert str(caught.value).startswith("op returned ")
    assert reason in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", UNDOCUMENTED)
def test_a_media_type_must_be_documented(stock, name):
    media_types, handler, reason = UNDOCUMENTED[name]
    assert stock(f"undocumented: {name}").status_code == 500

    with pytest.raises(NonConformingResponseHeaders) as caught:
        compiled(media_types).convert(returned(handler))

    assert reason in caught.value.detail


def test_the_media_type_is_that_of_the_status():
    responses = compiled_definitions(
        {
            "200": {"description": "", "content": {JSON: {}}},
            "4XX": {"description": "", "content": {"application/problem+json": {}}},
            "201": {"description": ""},
            "default": {"description": "", "content": {TEXT: {}}},
            "x-more": {},
        }
    )

    assert responses.media_types == [JSON, "application/problem+json", TEXT]
    kinds = [dict(responses.convert((body, status)).headers)[b"content-type"] for body, status in STATUSES]
    assert kinds == [b"application/json", b"application/problem+json", b"text/plain; charset=utf-8"]
    with pytest.raises(NonConformingResponseHeaders):
        responses.convert(({}, 201))


STATUSES = [({}, 200), ({}, 404), ("a", 500)]
