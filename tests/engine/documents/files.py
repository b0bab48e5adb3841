"""File uploads and downloads: in forms, as binary bodies, streamed, and in base64."""

import base64
from collections.abc import Iterator
from typing import Any

from connexion.exceptions import ClientProblem

contents: dict[str, bytes] = {"b.bin": b"\x00\xff"}


def upload_files(body: dict[str, Any], file: Any, more: Any = ()) -> Any:
    notes = {"note": body["note"]} if "note" in body else {}
    files = [file, *(more or ())]
    return [{"name": each.filename or None, "size": len(each.read()), **notes} for each in files], 201


def put_file(name: str, body: bytes) -> Any:
    contents[name] = body
    return None, 204


def download_file(name: str) -> Any:
    if name not in contents:
        raise ClientProblem(404, "Not Found", detail="There is no such file.")
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f"attachment; filename={name}",
    }
    return contents[name], 200, headers


def put_picture(body: bytes | str) -> str:
    return f"{type(body).__name__} of {len(body)}"


def stream_lines(count: int) -> Any:
    def lines() -> Iterator[str]:
        for number in range(count):
            yield f"line {number}\n"

    return lines(), 200, {"Content-Type": "text/csv"}


def store_encoded(body: dict[str, Any]) -> Any:
    return [{"name": None, "size": len(base64.b64decode(body["content"]))}], 201
