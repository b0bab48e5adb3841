"""Files in memory: plain and compressed with gzip, with entity tags and conditional requests."""

import gzip
from collections.abc import Collection, Iterable
from functools import cache
from hashlib import blake2b
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from werkzeug.http import is_resource_modified, parse_accept_header

COMPRESSION_LEVEL: Final = 9
TAG_BYTES: Final = 16
SOURCE_MAP_SUFFIX: Final = ".map"  # Larger than the script, and needed only to debug it.


class Coding:
    """One form of an asset: its bytes and the headers that a 304 has, too (RFC 9110, 15.4.5)."""

    def __init__(self, body: bytes, *, varies: bool) -> None:
        """Compute the entity tag, which differs between forms because their bytes do (RFC 9110, 8.8.3)."""
        self.body = body
        self.etag = f'"{blake2b(body, digest_size=TAG_BYTES).hexdigest()}"'
        self.headers = {"ETag": self.etag} | ({"Vary": "Accept-Encoding"} if varies else {})


class Asset:
    """A file in memory.

    Both forms are kept: decompressing for a client without gzip would block the event loop for 10 ms a
    megabyte.
    """

    def __init__(self, body: bytes, content_type: str, last_modified: str | None = None) -> None:
        """Compress the body once; the compressed form is kept if it is smaller."""
        compressed = gzip.compress(body, COMPRESSION_LEVEL, mtime=0)
        is_smaller = len(compressed) < len(body)
        self._content_type, self._last_modified = content_type, last_modified
        self._plain = Coding(body, varies=is_smaller)
        self._gzip = Coding(compressed, varies=True) if is_smaller else None

    def respond(self, request: Request) -> Response:
        """Return the form that the request accepts, or 304 if the client has it; without a body for HEAD."""
        coding = self._plain
        if self._gzip is not None and _prefers_gzip(request.headers):
            coding = self._gzip
        conditions = {
            "REQUEST_METHOD": "GET",
            "HTTP_IF_NONE_MATCH": _joined(request.headers, "if-none-match"),
            "HTTP_IF_MODIFIED_SINCE": request.headers.get("if-modified-since"),
        }
        if not is_resource_modified(conditions, coding.etag, last_modified=self._last_modified):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=coding.headers)
        headers = {"Content-Type": self._content_type, "Content-Length": str(len(coding.body))}
        if self._last_modified:
            headers["Last-Modified"] = self._last_modified
        if coding is self._gzip:
            headers["Content-Encoding"] = "gzip"
        body = b"" if request.method == "HEAD" else coding.body
        return Response(body, headers=headers | coding.headers)


def read_folders(folders: Iterable[Path], *, without: Collection[str] = ()) -> dict[str, Asset]:
    """Return the files of the folders by relative path; of several with the same path, the first.

    Source maps, the paths in `without`, and files outside the folder, to which symbolic links lead, are left
    out.
    """
    files: dict[str, Path] = {}
    for folder in folders:
        for file in folder.rglob("*"):
            name = file.relative_to(folder).as_posix()
            is_wanted = file.suffix != SOURCE_MAP_SUFFIX and name not in without
            is_inside = file.resolve().is_relative_to(folder.resolve())
            if is_wanted and is_inside and file.is_file():
                files.setdefault(name, file)
    return {name: _read(file, file.stat().st_mtime_ns) for name, file in files.items()}


@cache
def _read(file: Path, _modified: int) -> Asset:
    """Return a file's asset, cached because the APIs of a program usually share one user interface."""
    described = FileResponse(file, stat_result=file.stat()).headers
    return Asset(file.read_bytes(), described["Content-Type"], described["Last-Modified"])


def _prefers_gzip(headers: Headers) -> bool:
    """Return whether gzip is acceptable and not less preferred than no coding (RFC 9110, 12.5.3)."""
    accepted = parse_accept_header(_joined(headers, "accept-encoding"))
    quality: float = accepted.quality("gzip")
    return quality > 0 and quality >= accepted.quality("identity")


def _joined(headers: Headers, name: str) -> str | None:
    """Return the value of a list header, which may have several lines (RFC 9110, 5.3)."""
    return ", ".join(headers.getlist(name)) or None
