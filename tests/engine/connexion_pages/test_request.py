"""The page "request" of Connexion's documentation."""

import io
from typing import Any

import connexion
import pytest

from tests.engine.connexion_pages.comparing import (
    assert_same_outcomes,
    everything,
    get,
    op,
    payload,
    post,
    query,
)
from tests.engine.programs import document, json_body


def pythonic(filter_: str, filter_option: str | None = None) -> Any:
    """Return the arguments."""
    return {"filter": filter_, "option": filter_option}


def optional(message: str | None = None, limit: int = 5) -> Any:
    """Return the arguments."""
    return {"message": message, "limit": limit}


def upload(name: str | None = None, photo: Any = None, pages: Any = (), body: Any = None) -> Any:
    """Return the received fields and files (werkzeug's)."""
    return {
        "name": name,
        "photo": photo and [photo.filename, photo.read().decode(), photo.content_type],
        "pages": [page.read().decode() for page in pages],
        "body": body,
    }


def look() -> Any:
    """Return the attributes of `connexion.request`."""
    return {
        "method": connexion.request.method,
        "path": connexion.request.url.path,
        "query": dict(connexion.request.query_params),
        "agent": connexion.request.headers["user-agent"],
        "cookies": dict(connexion.request.cookies),
        "type": connexion.request.mimetype,
    }


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Stock leaves the files open.
def test_request() -> None:
    form = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "photo": {"type": "string", "format": "binary"},
            "pages": {"type": "array", "items": {"type": "string", "format": "binary"}},
        },
    }
    many = [
        query("top", type="integer", default=3),
        query("$select", type="string"),
        query("ids", type="array", items={"type": "integer"}),
        query("flag", type="boolean"),
        {
            "name": "tags",
            "in": "query",
            "style": "pipeDelimited",
            "explode": False,
            "schema": {"type": "array", "items": {"type": "string"}},
        },
        {
            "name": "where",
            "in": "query",
            "style": "deepObject",
            "explode": True,
            "schema": {"type": "object", "properties": {"age": {"type": "integer"}}},
        },
        {"name": "X-Tag", "in": "header", "schema": {"type": "string"}},
    ]

    def build(kind: Any) -> Any:
        app = kind(__name__)
        paths = {
            "/everything": {"get": op(everything, *many)},
            "/optional": {
                "get": op(optional, query("message", type="string"), query("limit", type="integer"))
            },
            "/payload": {
                "post": op(payload, requestBody={**json_body(type="object"), "x-body-name": "payload"})
            },
            "/upload": {
                "post": op(upload, requestBody={"content": {"multipart/form-data": {"schema": form}}})
            },
            "/look": {"get": op(look)},
        }
        app.add_api(document(paths))
        options = [{**query("filter", type="string"), "required": True}, query("FilterOption", type="string")]
        app.add_api(
            document({"/pythonic": {"get": op(pythonic, *options)}}), base_path="/p", pythonic_params=True
        )
        return app

    files = [
        ("photo", ("a.png", io.BytesIO(b"png"), "image/png")),
        ("pages", ("1.txt", io.BytesIO(b"one"), "text/plain")),
        ("pages", ("2.txt", io.BytesIO(b"two"), "text/plain")),
    ]
    contents = [(name, (file, content.getvalue(), kind)) for name, (file, content, kind) in files]
    assert_same_outcomes(
        "request",
        build,
        get("/everything"),
        get("/everything?top=7&$select=a&ids=1&ids=2&flag=true&tags=a|b&where[age]=3"),
        get("/everything?where[age]=4", headers={"X-Tag": "t"}),
        get("/everything?top=x"),
        get("/everything?ids=a"),
        get("/optional?message=hi"),
        get("/optional?limit=2"),
        post("/payload", json={"a": [1, None, "é"]}),
        post("/payload", json=[1]),
        post("/payload", content=b"{", headers={"Content-Type": "application/json"}),
        post("/payload", content=b"<a/>", headers={"Content-Type": "text/xml"}),
        post("/payload"),
        post("/upload", data={"name": "ada"}, files=contents),
        get("/look?a=1", headers={"Cookie": "b=2"}),
        get("/p/pythonic?filter=a&FilterOption=b"),
        get("/p/pythonic?FilterOption=b"),
    )
