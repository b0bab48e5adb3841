"""Notes in several media types."""

from typing import Any

TYPES = {
    "json": "application/json",
    "text": "text/plain",
    "html": "text/html",
    "bytes": "application/octet-stream",
}


def post_note(body: Any) -> Any:
    return {"kind": type(body).__name__}, 201


def get_note(form: str) -> Any:
    if form == "nothing":
        return None, 204
    note = {"json": {"text": "a note"}, "text": "a note", "html": "<p>a note</p>", "bytes": b"a note"}[form]
    return note, 200, {"Content-Type": TYPES[form]}


def get_range(*, fail: bool) -> Any:
    return {"ok": not fail}, 409 if fail else 202, {"Content-Type": "application/json"}
