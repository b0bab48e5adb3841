"""Forms and uploads are read as Connexion reads them, except for the listed deviations."""

import gc
import warnings
from typing import Any

import pytest
from connexion import FlaskApp
from connexion.resolver import Resolver

from tests.engine.test_forms import (
    FIELDS,
    FILE,
    MULTIPART,
    NUMBERS,
    POINT,
    TEXT,
    UPLOAD,
    URLENCODED,
    closed,
    contents,
    document_of,
    multipart,
    part,
)
from users_api.engine.bodies import Bodies
from users_api.engine.document import Document
from users_api.engine.failures import InvalidPayload, UnsupportedMediaType
from users_api.engine.schemas import Schemas

STOCK = {
    "/form": {
        "content": {
            URLENCODED: {"schema": closed(**{name: FIELDS[name] for name in FIELDS if name != "size"})}
        }
    },
    "/styles": {
        "content": {
            URLENCODED: {
                "schema": closed(commas=NUMBERS, pipes=NUMBERS, point={"$ref": "#/components/schemas/Point"}),
                "encoding": {
                    "commas": {"explode": False},
                    "pipes": {"style": "pipeDelimited"},
                    "point": {"contentType": "application/json"},
                },
            }
        }
    },
    "/required": {"content": {URLENCODED: {"schema": closed(text=TEXT) | {"required": ["text"]}}}},
    "/default": {
        "content": {URLENCODED: {"schema": closed(texts=FIELDS["texts"]) | {"default": {"texts": ["a"]}}}}
    },
    "/upload": {
        "content": {
            MULTIPART: {
                "schema": closed(
                    **{
                        name: UPLOAD["properties"][name]
                        for name in ("file", "files", "text", "count", "point")
                    }
                ),
                "encoding": {"point": {"contentType": "application/json"}},
            }
        }
    },
    "/json": {"content": {"application/json": {"schema": POINT}}},
    "/nullable": {"content": {"application/json": {"schema": POINT | {"nullable": True}}}},
    "/several": {
        "content": {
            "application/json": {"schema": POINT},
            URLENCODED: {"schema": POINT},
            "application/octet-stream": {"schema": FILE},
            "text/plain": {"schema": TEXT},
        }
    },
}


REJECTED = "rejected"


class StockAndEngine:
    """Stock Connexion and the engine with the same document."""

    def __init__(self, mode: str) -> None:
        self.mode, strict = mode, mode == "strict"
        document = document_of(STOCK)
        app = FlaskApp(__name__, strict_validation=strict)
        app.add_api(document_of(STOCK), resolver=Resolver(lambda _: self._handle))
        self._client = app.test_client(raise_server_exceptions=False)
        loaded = Document.load(document)
        self._bodies = {
            node.path: Bodies(
                node.operation["requestBody"],
                f"{node.pointer}/requestBody",
                document=loaded,
                schemas=Schemas(loaded.root),
                strict=strict,
            )
            for node in loaded.operations()
        }

    def _handle(self, body, **files):
        self._seen = body, contents(files)
        return "", 204

    def stock(self, path: str, media_type: str, body: bytes) -> Any:
        with warnings.catch_warnings():
            # Connexion does not close the files of its parser.
            warnings.simplefilter("ignore", ResourceWarning)
            answer = self._client.post(
                path, content=body, headers={"Content-Type": media_type} if media_type else {}
            )
        return (
            self._seen if answer.status_code == 204 else REJECTED if answer.status_code < 500 else "crashed"
        )

    def ours(self, path: str, media_type: str, body: bytes) -> Any:
        headers = [(b"content-type", media_type.encode())] if media_type else []
        try:
            payload = self._bodies[path].parse(headers, body)
        except (InvalidPayload, UnsupportedMediaType):
            return REJECTED
        return payload.value, contents(payload.files)


@pytest.fixture(scope="module", params=["lax", "strict"])
def both(request):
    gc.disable()  # Connexion's parser leaves files open in cycles, which would cause warnings in other tests.
    yield StockAndEngine(request.param)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    gc.enable()


UPLOADED = f"{MULTIPART}; boundary=x"


@pytest.mark.parametrize(
    ("path", "media_type", "body"),
    [
        ("/form", URLENCODED, b"text=a+b%26c&count=-5&share=1.5&active=true"),
        ("/form", URLENCODED, b"text=a%3Db=c&text2"),
        ("/form", URLENCODED, b"maybe=null"),
        ("/form", URLENCODED, b"numbers=1&numbers=2"),
        ("/form", URLENCODED, b"numbers=1&numbers=b"),
        ("/form", URLENCODED, b"texts=a&texts=b&texts=c"),
        ("/form", URLENCODED, b"count=five"),
        ("/form", URLENCODED, b"active=5"),
        ("/form", URLENCODED, b"unknown=1"),
        ("/form", URLENCODED, b""),
        ("/form", "application/json", b"{}"),
        ("/form", f"{URLENCODED}; charset=utf-8", b"text=a"),
        ("/styles", URLENCODED, b"commas=1,2"),
        ("/styles", URLENCODED, b"commas=1%2C2&pipes=3%7C4"),
        ("/styles", URLENCODED, b'point={"x":1}'),
        ("/styles", URLENCODED, b'point={"x":"a"}'),
        ("/required", URLENCODED, b""),
        ("/required", "", b""),
        ("/required", URLENCODED, b"text="),
        ("/default", URLENCODED, b"texts=b"),
        ("/upload", UPLOADED, multipart(part("file", "hi", "a.txt"), part("text", "a"), part("count", "5"))),
        ("/upload", UPLOADED, multipart(part("files", "1", "a"), part("files", "2", "b"))),
        ("/upload", UPLOADED, multipart(part("files", "1", "a"))),
        ("/upload", UPLOADED, multipart(part("file", "1", "a"), part("file", "2", "b"))),
        ("/upload", UPLOADED, multipart(*[part("files", "1", "a")] * 3)),
        ("/upload", UPLOADED, multipart(part("text", "1", "a"))),
        ("/upload", UPLOADED, multipart(part("count", "a"))),
        ("/upload", UPLOADED, multipart(part("point", '{"x": 1}'))),
        ("/upload", UPLOADED, multipart(part("point", '{"x": "a"}'))),
        ("/upload", UPLOADED, multipart(part("unknown", "1", "a"))),
        ("/upload", UPLOADED, multipart(part("unknown", "1"))),
        ("/json", "application/json", b'{"x": 1, "y": {"z": [null]}}'),
        ("/json", "application/json", b'{"x": "a"}'),
        ("/json", "application/json", b"null"),
        ("/json", "application/json", b"{"),
        ("/json", "text/plain", b"{}"),
        ("/nullable", "application/json", b"null"),
        ("/nullable", "application/json", b""),
        ("/several", "application/json", b'{"x": 1}'),
        ("/several", URLENCODED, b"x=1"),
        ("/several", "application/octet-stream", b"\x00"),
        ("/several", "image/png", b"\x00"),
    ],
)
def test_bodies_are_those_of_stock_connexion(both, path, media_type, body):
    assert both.ours(path, media_type, body) == both.stock(path, media_type, body)


BLOB = multipart(part("point", '{"x": 1}', "blob", Content_Type="application/json"))


TWO_UNKNOWN = multipart(*[part("unknown", "1", "a")] * 2)


DEVIATIONS = {  # By reason: the request, stock Connexion's outcome, and the engine's outcome.
    "a comma belongs to an item unless `explode` is false": (
        ("/form", URLENCODED, b"texts=a,b"),
        ({"texts": ["a", "b"]}, {}),
        ({"texts": ["a,b"]}, {}),
    ),
    "None is a text": (("/form", URLENCODED, b"maybe=None"), ({"maybe": None}, {}), REJECTED),
    "integers are written as in JSON": (("/form", URLENCODED, b"count=%2B05"), ({"count": 5}, {}), REJECTED),
    "booleans too": (("/form", URLENCODED, b"active=TRUE"), ({"active": True}, {}), REJECTED),
    "a percent sign is encoded": (("/form", URLENCODED, b"text=5%"), ({"text": "5%"}, {}), REJECTED),
    "a text is in UTF-8": (("/form", URLENCODED, b"text=%ff"), ({"text": "%FF"}, {}), REJECTED),
    "that of a part too": (
        ("/upload", UPLOADED, multipart(part("text", b"\xff"))),
        ({"text": "\ufffd"}, {}),
        REJECTED,
    ),
    "a field declared as a file is one": (
        ("/upload", UPLOADED, multipart(part("file", "hi"))),
        ({"file": "hi"}, {}),
        ({}, {"file": (None, "hi")}),
    ),
    "browsers give JSON a file name": (("/upload", UPLOADED, BLOB), REJECTED, ({"point": {"x": 1}}, {})),
    "a malformed form is the client's fault": (("/upload", UPLOADED, b"junk"), "crashed", REJECTED),
    "a missing boundary too": (("/upload", MULTIPART, multipart()), "crashed", REJECTED),
    "an optional body may be absent": (("/json", "application/json", b""), REJECTED, ({}, {})),
    "names of media types have no case": (
        ("/json", "Application/JSON", b'{"x": 1}'),
        (b'{"x": 1}', {}),
        ({"x": 1}, {}),
    ),
    "a name stands once in an object": (
        ("/json", "application/json", b'{"x": 1, "x": 2}'),
        ({"x": 2}, {}),
        REJECTED,
    ),
    "JSON is in UTF-8": (
        ("/json", "application/json; charset=utf-16", b'{"x": 1}'),
        ({"x": 1}, {}),
        REJECTED,
    ),
    "a text is a string": (("/several", "text/plain", b"a"), (b"a", {}), ("a", {})),
}


@pytest.mark.parametrize(("request_", "stock", "ours"), DEVIATIONS.values(), ids=DEVIATIONS)
def test_bodies_deviate_from_stock_connexion_for_a_reason(both, request_, stock, ours):
    assert both.stock(*request_) == stock
    assert both.ours(*request_) == ours


ONE_WAY = {  # The same, for requests on which strict validation has an effect in only one of the two.
    "a text that is repeated has two readings": (
        ("/form", URLENCODED, b"text=a&text=b"),
        {"lax": (({"text": "a,b"}, {}),) * 2, "strict": (({"text": "a,b"}, {}), REJECTED)},
    ),
    "an array in one text too": (
        ("/styles", URLENCODED, b"pipes=1&pipes=2|3"),
        {"lax": (({"pipes": [2, 3]}, {}),) * 2, "strict": (({"pipes": [2, 3]}, {}), REJECTED)},
    ),
    "the default form is no text in a form": (
        ("/default", URLENCODED, b""),
        {
            "lax": (({"texts": ["a"], '{"texts": ["a"]}': ""}, {}), ({"texts": ["a"]}, {})),
            "strict": (REJECTED, ({"texts": ["a"]}, {})),
        },
    ),
    "no file is dropped": (
        ("/upload", UPLOADED, TWO_UNKNOWN),
        {
            "lax": (({}, {"unknown": ("a", "1")}), ({}, {"unknown": [("a", "1")] * 2})),
            "strict": (REJECTED, REJECTED),
        },
    ),
    "a body without a type has the first one of the document": (
        ("/json", "", b'{"x": 1}'),
        {"lax": ((b'{"x": 1}', {}), ({"x": 1}, {})), "strict": ((b'{"x": 1}', {}), REJECTED)},
    ),
    "JSON has no version": (
        ("/json", "application/json; v=1", b'{"x": 1}'),
        {"lax": (({"x": 1}, {}),) * 2, "strict": (({"x": 1}, {}), REJECTED)},
    ),
}


@pytest.mark.parametrize(("request_", "outcomes"), ONE_WAY.values(), ids=ONE_WAY)
def test_strict_validation_deviates_where_bodies_are_ambiguous(both, request_, outcomes):
    assert (both.stock(*request_), both.ours(*request_)) == outcomes[both.mode]
