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
from werkzeug.http import parse_accept_header, parse_etags, quote_etag

COMPRESSION_LEVEL: Final = 9
MAX_LENGTH: Final = 1_024
TAG_BYTES: Final = 16
SOURCE_MAP_SUFFIX: Final = ".map"  # Larger than the script, and needed only to debug it.


class Coding:
    """One form of an asset: its bytes and the headers that a 304 has, too (RFC 9110, 15.4.5)."""

    def __init__(self, body: bytes, *, varies: bool) -> None:
        """Compute the entity tag, which differs between forms because their bytes do (RFC 9110, 8.8.3)."""
        self.body = body
        self.tag = blake2b(body, digest_size=TAG_BYTES).hexdigest()
        self.headers = {"ETag": quote_etag(self.tag)} | ({"Vary": "Accept-Encoding"} if varies else {})


class Asset:
    """A file in memory.

    Both forms are kept: decompressing for a client without gzip would block the event loop for 10 ms a
    megabyte.
    """

    def __init__(self, body: bytes, content_type: str) -> None:
        """Compress the body once; the compressed form is kept if it is smaller."""
        compressed = gzip.compress(body, COMPRESSION_LEVEL, mtime=0)
        is_smaller = len(compressed) < len(body)
        self._content_type = content_type
        self._plain = Coding(body, varies=is_smaller)
        self._gzip = Coding(compressed, varies=True) if is_smaller else None

    def respond(self, request: Request) -> Response:
        """Return the form that the request accepts, or 304 if the client has it; without a body for HEAD."""
        coding = self._plain
        if self._gzip is not None and _prefers_gzip(request.headers):
            coding = self._gzip
        if parse_etags(_joined(request.headers, "if-none-match")).contains_weak(coding.tag):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=coding.headers)
        headers = {"Content-Type": self._content_type, "Content-Length": str(len(coding.body))}
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
    return Asset(file.read_bytes(), FileResponse(file).headers["Content-Type"])


def _prefers_gzip(headers: Headers) -> bool:
    """Return whether gzip is acceptable and not less preferred than no coding (RFC 9110, 12.5.3)."""
    accepted = parse_accept_header(_joined(headers, "accept-encoding"))
    quality: float = accepted.quality("gzip")
    return quality > 0 and quality >= accepted.quality("identity")


def _joined(headers: Headers, name: str) -> str | None:
    """Return the value of a list header, which may have several lines (RFC 9110, 5.3), or None.

    A value of more than MAX_LENGTH characters is ignored, because parsing it takes a while.
    """
    value = ", ".join(headers.getlist(name))
    return value if 0 < len(value) <= MAX_LENGTH else None
