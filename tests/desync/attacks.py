"""The attacks: products of hostile framings and of the requests that they try to smuggle."""

from itertools import product
from typing import NamedTuple

from tests.desync.framings import CHUNKS, CODINGS, LENGTHS
from tests.support.hostile import BROKEN_LINES, HOSTS, NO_HEADER
from tests.support.raw_http import CHUNKED, JSON, chunked, chunks, get, head, send, wire

BODY_LIMIT = 4096
BODY_SECONDS = 2
EMAIL = "evil-<number>@desync.example"
NUMBER = "<number>"
"""Replaced by a number of the same length, unique to each conversation."""

WRITE = send("POST /users", f'{{"username": "Mallory", "email": "{EMAIL}"}}')
READ = get("/users/0")
HALF_HEAD = b"GET /health/live HTTP/1.1\r\nX-Ignore: "
HALF_BODY = head("POST /users", JSON, "Content-Length: 300") + b'{"username": "'

SMUGGLED = {"a write": WRITE, "a read": READ, "half a head": HALF_HEAD, "half a body": HALF_BODY}
PAIR = {name: SMUGGLED[name] for name in ("a write", "half a head")}


class Attack(NamedTuple):
    """What an attacker sends; between the pieces it waits for a response, for at most `pause` seconds.

    An attacker that `leaves` closes its connection before the victims' last requests. What is `valid` is one
    request with one body, whatever the body looks like.
    """

    pieces: tuple[bytes, ...]
    pause: float = 0
    leaves: bool = False
    valid: bool = False


def body_of(smuggled):
    """Return the two usual ways to announce the smuggled request as a body."""
    return {
        "with a length": ((f"Content-Length: {len(smuggled)}",), smuggled),
        "in a chunk": ((CHUNKED,), chunks(smuggled)),
    }


def with_length(lines, body):
    return [line.replace("<length>", str(len(body))) for line in lines]


def coding(lines, smuggled):
    """Yield requests whose end depends on which of the two framings is read."""
    body = b"0\r\n\r\n" + smuggled
    yield "CL.TE", head("POST /users", JSON, f"Content-Length: {len(body)}", *lines) + body
    size = len(b"%x\r\n" % len(smuggled))
    yield "TE.CL", head("POST /users", JSON, *lines, f"Content-Length: {size}") + chunks(smuggled)


def framings():
    for (name, lines), (what, smuggled) in product(CODINGS.items(), PAIR.items()):
        for order, request in coding(lines, smuggled):
            yield f"{order}: {name}: {what}", request


def lengths():
    for (name, lines), line, (what, smuggled) in product(
        LENGTHS.items(), ("POST /users", "GET /ping"), PAIR.items()
    ):
        body = b"{   }" + smuggled
        yield f"{name}: {line}: {what}", head(line, JSON, *with_length(lines, body)) + body


def chunk_sizes():
    for (name, text), (what, smuggled) in product(CHUNKS.items(), PAIR.items()):
        yield f"{name}: {what}", head("POST /users", JSON, CHUNKED) + wire(text) + smuggled


LINES = (
    "GET /ping",
    "HEAD /ping",
    "DELETE /users/0",
    "OPTIONS /ping",
    "TRACE /ping",
    "PATCH /users/0",
    "PUT /users",
    "POST /ping",
    "POST /nowhere",
    "POST /users",
    "POST /users?x=1",
)


def bodies():
    """Yield valid requests whose body, which many of them do not need, looks like a request."""
    for line, (what, smuggled) in product(LINES, SMUGGLED.items()):
        for how, (lines, body) in body_of(smuggled).items():
            yield f"{line}: {what} {how}", head(line, *lines) + body


def too_large():
    """Yield bodies over the limit that consist of requests."""
    many = WRITE * (BODY_LIMIT // len(WRITE) + 2)
    for line in ("POST /users", "GET /ping", "POST /nowhere"):
        yield f"{line} with a length", send(line, many)
        yield f"{line} in chunks", chunked(line, *[WRITE] * (BODY_LIMIT // len(WRITE) + 2))


TRUNCATED = ("POST /nowhere", "POST /ping", "POST /users", "GET /ping", "HEAD /ping", "DELETE /users/0")


def truncated():
    """Yield bodies of which only the first part, which looks like a request, is sent in time."""
    for line, (what, smuggled) in product(TRUNCATED, PAIR.items()):
        yield (
            f"{line}: {what} with a length",
            head(line, f"Content-Length: {len(smuggled) + 9}") + smuggled,
        )
        yield (
            f"{line}: {what} in a chunk",
            head(line, CHUNKED) + b"%x\r\n%s" % (len(smuggled) + 9, smuggled),
        )


EXPECTATIONS = (
    "Expect: 100-continue",
    "Expect: 100-Continue",
    "Expect: 100-continue, x",
    "Expect:\t100-continue",
    "Expect : 100-continue",
    "Expect: x",
)


def expectations():
    for line, expectation in product(("POST /users", "POST /nowhere", "GET /ping"), EXPECTATIONS):
        for how, (lines, body) in body_of(WRITE).items():
            yield f"{expectation!r}: {line} {how}", head(line, *lines, expectation) + body


VERSIONS = ("HTTP/1.0", "HTTP/1.2", "HTTP/0.9", "HTTP/2.0", "http/1.1", "HTTP/1.1 ", "")


def versions():
    for version, connection in product(VERSIONS, (None, "Connection: keep-alive")):
        for how, (lines, body) in {
            **body_of(WRITE),
            "with both": ((CHUNKED, f"Content-Length: {len(WRITE) + 5}"), b"0\r\n\r\n" + WRITE),
            "after it": ((), WRITE),
        }.items():
            request = head("POST /users", JSON, connection, *lines, version=version) + body
            yield f"{version!r}: {connection}: {how}", request


PROTOCOLS = ("h2c", "websocket", "h2c, x", "TLS/1.0")


def upgrades():
    for protocol, line in product(PROTOCOLS, ("GET /ping", "POST /users")):
        asking = ("Connection: Upgrade, HTTP2-Settings", f"Upgrade: {protocol}", "HTTP2-Settings: AAMAAABkAA")
        for how, (lines, body) in {**body_of(WRITE), "after it": ((), WRITE)}.items():
            yield f"{protocol}: {line} {how}", head(line, *asking, *lines) + body


TARGETS = (
    "http://users.example/ping",
    "http://evil.example:1/ping",
    "http://users.example",
    "HTTP://users.example/ping",
    "https://users.example/ping",
    "http:/ping",
    "//users.example/ping",
    "http://a b/ping",
    "*",
    "users.example:80",
    "/ping HTTP/1.1\nX: ",
    "/ping HTTP/1.1\rX: ",
    "/ping\x00",
    "/ping\x0b",
    "/ping\t",
    "/ping\xff",
    "/ping#x",
    "/ping%0d%0a%0d%0aGET%20/users/0",
    " /ping",
    "/ping ",
)


def targets():
    for target in TARGETS:
        yield f"{target!r}: after it", get(target) + WRITE
        yield f"{target!r}: in the body", send(f"GET {target}", WRITE)


def request_lines():
    for name, line in BROKEN_LINES.items():
        yield name, line + WRITE


HEADERS = {
    **{name: (line,) for name, line in NO_HEADER.items()},
    "a name behind a tab": ("X: y", "\tY: z"),
    "a Connection that names the host": ("Connection: host",),
    "a Connection that names itself": ("Connection: connection, keep-alive, close",),
    "a Connection that is doubled": ("Connection: close", "Connection: keep-alive"),
    "a Proxy-Connection": ("Proxy-Connection: keep-alive",),
    "a Keep-Alive": ("Keep-Alive: timeout=0, max=0",),
    "a large header": ("X: " + "y" * 12000,),
    "many headers": tuple(f"X-{number}: y" for number in range(150)),
}


def headers():
    for name, lines in HEADERS.items():
        yield f"{name}: after it", get("/ping", *lines) + WRITE
        yield f"{name}: in the body", send("POST /users", WRITE, JSON, *lines)
        yield f"{name}: half a head in the body", send("GET /ping", HALF_HEAD, *lines)
    for name, lines in HOSTS.items():
        yield name, send("GET /ping", WRITE, *(lines or ("X: y",)), host=None)


PIPELINES = {
    "ten reads": get("/ping") * 10 + WRITE,
    "two hundred reads": get("/ping") * 200 + WRITE,
    "reads without a body": head("HEAD /users/0") + READ + head("HEAD /ping") + WRITE,
    "a write that fails": send("POST /users", "{}") + WRITE,
    "a last request": get("/ping", "Connection: close") + WRITE,
    "a condition": get("/users/0", "If-None-Match: *") + WRITE,
    "empty lines": b"\r\n\r\n\r\n" + get("/ping") + b"\r\n\r\n" + WRITE,
    "bare LFs": b"\n\n" + get("/ping") + b"\n\n" + WRITE,
    "garbage": get("/ping") + b"\x00\x01garbage\r\n\r\n" + WRITE,
    "a response": get("/ping") + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + WRITE,
    "half a head": get("/ping") + WRITE + HALF_HEAD,
    "half a body": get("/ping") + WRITE + HALF_BODY,
    "methods that are not allowed": send("PUT /users", READ) + send("POST /ping", READ) + WRITE,
    "a body on no path": send("POST /nowhere", READ) + WRITE,
    "a body that is not JSON": send("POST /users", READ, "Content-Type: text/plain") + WRITE,
    "a body that is too large": send("POST /users", " " * (BODY_LIMIT + 1)) + WRITE,
    "a page": get("/ui/") + head("HEAD /ui/") + get("/openapi.json") + WRITE,
}


def pipelines():
    yield from PIPELINES.items()


def late():
    """Yield requests whose body comes when the response, such as a timeout's, has been sent."""
    for line in TRUNCATED:
        for how, (lines, body) in body_of(WRITE).items():
            yield f"{line} {how}", (head(line, *lines), body)
        yield f"{line} after its body", (head(line, "Content-Length: 9") + b"{", b"       }" + WRITE)
        asking = head(line, f"Content-Length: {len(WRITE)}", "Expect: 100-continue")
        yield f"{line} that expects 100-continue", (asking, WRITE)


BUILDERS = {
    "late bodies": late,
    "truncated bodies": truncated,
    "two framings": framings,
    "lengths": lengths,
    "chunks": chunk_sizes,
    "bodies": bodies,
    "bodies that are too large": too_large,
    "expectations": expectations,
    "versions": versions,
    "upgrades": upgrades,
    "targets": targets,
    "request lines": request_lines,
    "headers": headers,
    "pipelines": pipelines,
}


VALID = ("bodies", "bodies that are too large", "truncated bodies")


def attack(number, request, *, valid):
    """Send every third request in two halves, and let every fourth attacker leave early."""
    if isinstance(request, tuple):
        return Attack(request, pause=2 * BODY_SECONDS)
    middle = len(request) // 2
    pieces = (request,) if number % 3 else (request[:middle], request[middle:])
    return Attack(pieces, leaves=number % 4 == 0, valid=valid)


FAMILIES = {
    family: {
        name: attack(number, request, valid=family in VALID) for number, (name, request) in enumerate(build())
    }
    for family, build in BUILDERS.items()
}
