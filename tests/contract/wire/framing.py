"""Message framing: boundaries between requests, which request smuggling attacks (RFC 9112, 6 and 11.2)."""

from tests.contract.wire.case import (
    HEAD_TOO_LARGE,
    NO_JSON,
    NO_METHOD,
    NO_PATH,
    NO_USER,
    PAYLOAD,
    REFUSED,
    TOO_LARGE,
    Case,
    Pause,
    empty,
    fail,
    one,
    success,
)
from tests.support.hostile import AMBIGUOUS, BROKEN_CHUNKS, BROKEN_LINES
from tests.support.raw_http import CHUNKED, JSON, chunked, chunks, get, head, send, wire

MIB = 1024 * 1024
USER = '{"username": "Ada", "email": "<new>"}'
SMUGGLED = b"GET /users/0 HTTP/1.1\r\nX: y\r\nHost: users.example\r\n\r\n"
"""A request that gets no token, since it stands in a body, whose length it must not change."""
LENGTH = b"%d" % (len(SMUGGLED) + 5)

FRAMING = {
    **{
        f"{name} is refused and smuggles nothing": one(
            head("POST /users", JSON, *lines).replace(b"<length>", LENGTH) + b"0\r\n\r\n" + SMUGGLED, REFUSED
        )
        for name, lines in AMBIGUOUS.items()
    },
    **{
        f"{name} is a broken chunk": one(head("POST /users", JSON, CHUNKED) + wire(text), REFUSED)
        for name, text in BROKEN_CHUNKS.items()
    },
    **{f"{name}: no HTTP/1.1": one(line, REFUSED) for name, line in BROKEN_LINES.items()},
    "a chunked body is as good as any": one(
        chunked("POST /users", USER.replace("<new>", "chunk@wire.example")), success(201)
    ),
    "a body of one-byte chunks is as good as any": one(
        chunked("POST /users", *USER.replace("<new>", "chunks@wire.example")), success(201)
    ),
    "an empty chunked body is not a payload": one(chunked("POST /users"), fail(400, PAYLOAD, "")),
    "chunks with extensions and trailers are served": one(
        head("POST /users", JSON, CHUNKED, "Trailer: X-Sum") + b'2;a="b;c"\r\n{}\r\n0\r\nX-Sum: 1\r\n\r\n',
        fail(400, PAYLOAD, "username", "email"),
    ),
    "a chunk size in capitals with zeros is served": one(
        head("POST /users", JSON, CHUNKED) + b"0000A\r\n{        }\r\n000\r\n\r\n",
        fail(400, PAYLOAD, "username", "email"),
    ),
    "a coding in capitals is served": one(
        head("POST /users", JSON, "Transfer-Encoding: CHUNKED") + b"2\r\n{}\r\n0\r\n\r\n",
        fail(400, PAYLOAD, "username", "email"),
    ),
    "a body of zero bytes is not a payload": one(send("POST /users", ""), fail(400, PAYLOAD, "")),
    "a missing body is not a payload": one(head("POST /users", JSON), fail(400, PAYLOAD, "")),
    "a missing body without a type is not a payload": one(head("POST /users"), fail(400, PAYLOAD, "")),
    "a length with zeros in front is that length": one(
        head("POST /users", JSON, "Content-Length: 0000000002") + b"{}",
        fail(400, PAYLOAD, "username", "email"),
    ),
    "a length with many zeros in front is that length": one(
        head("POST /users", JSON, f"Content-Length: {2:030}") + b"{}", fail(400, PAYLOAD, "username", "email")
    ),
    "a length with many zeros in front is too large at once": one(
        head("POST /users", JSON, f"Content-Length: {2**40:040}"), fail(413, TOO_LARGE, connection="close")
    ),
    "a body of exactly 1 MiB is read": one(
        send("POST /users", '{"username": "Ada"' + " " * (MIB - 19) + "}"), fail(400, PAYLOAD, "email")
    ),
    "a chunked body of exactly 1 MiB is read": one(
        chunked("POST /users", '{"username": "Ada"', " " * (MIB - 19), "}"), fail(400, PAYLOAD, "email")
    ),
    "a body of 1 MiB and one byte is too large": one(
        send("POST /users", " " * (MIB + 1)), fail(413, TOO_LARGE, connection="close")
    ),
    "a chunked body of 1 MiB and one byte is too large": one(
        chunked("POST /users", " " * MIB, " "), fail(413, TOO_LARGE, connection="close")
    ),
    "a body of 8 MiB loses no answer": one(
        send("POST /users", " " * (8 * MIB)), fail(413, TOO_LARGE, connection="close")
    ),
    "a chunked body of 8 MiB loses no answer": one(
        chunked("POST /users", *[" " * MIB] * 8), fail(413, TOO_LARGE, connection="close")
    ),
    "a body of 64 MiB on GET loses no answer": one(
        send("GET /ping", " " * (64 * MIB)), fail(413, TOO_LARGE, connection="close")
    ),
    "a body of 8 MiB on no path is skipped": one(send("POST /nowhere", " " * (8 * MIB)), fail(404, NO_PATH)),
    "a last request with a body of 8 MiB on no path loses no answer": one(
        send("POST /nowhere", " " * (8 * MIB), "Connection: close"), fail(404, NO_PATH, connection="close")
    ),
    "a declared length of a terabyte is too large at once": one(
        head("POST /users", JSON, f"Content-Length: {2**40}"), fail(413, TOO_LARGE, connection="close")
    ),
    "a declared length of 2^64 - 1 is too large at once": one(
        head("POST /users", JSON, f"Content-Length: {2**64 - 1}"), fail(413, TOO_LARGE, connection="close")
    ),
    "a length that is too large gets no 100 Continue": one(
        head("POST /users", JSON, f"Content-Length: {MIB + 1}", "Expect: 100-continue"),
        fail(413, TOO_LARGE, connection="close"),
    ),
    "a client that expects 100-continue and sends immediately is served": one(
        send("POST /users", "{}", JSON, "Expect: 100-continue"), fail(400, PAYLOAD, "username", "email")
    ),
    "an expectation of 100-continue on no path gets 404 before the body": one(
        send("POST /nowhere", "{}", "Expect: 100-continue"), fail(404, NO_PATH)
    ),
    "an unknown expectation is ignored": one(
        send("POST /users", "{}", JSON, "Expect: the-unexpected"), fail(400, PAYLOAD, "username", "email")
    ),
    "an expectation without a body is ignored": one(
        get("/ping", "Expect: 100-continue"), success(message="pong")
    ),
    "a truncated body is not a request": Case(
        (head("POST /users", JSON, "Content-Length: 99") + b'{"user',), (), half_closes=True
    ),
    "a truncated chunked body is not a request": Case(
        (head("POST /users", JSON, CHUNKED) + b'ff\r\n{"user',), (), half_closes=True
    ),
    "a chunked body without its end is not a request": Case(
        (head("POST /users", JSON, CHUNKED) + b"2\r\n{}\r\n",), (), half_closes=True
    ),
    "a truncated head is not a request": Case((b"GET /ping HTTP/1.1\r\nHost: a\r\n",), (), half_closes=True),
    "no request at all gets no answer": Case((), (), half_closes=True),
    "empty lines are no request": Case((b"\r\n\r\n\r\n",), (), half_closes=True),
    "a half-closed connection still gets all responses": Case(
        (get("/ping") * 100,), (success(message="pong"),) * 100, half_closes=True
    ),
    "a connection half-closed after a body still gets its response": Case(
        (send("POST /users", "{}"),), (fail(400, PAYLOAD, "username", "email"),), half_closes=True
    ),
    "empty lines before a request are skipped": one(b"\r\n\r\n" + get("/ping"), success(message="pong")),
    "one byte at a time is a request too": Case(
        tuple(bytes([byte]) for byte in get("/ping")), (success(message="pong"),)
    ),
    "requests that follow at once are answered in their order": one(
        get("/users/0") + get("/ping") + send("POST /users", "{}") + get("/nowhere"),
        fail(404, NO_USER),
        success(message="pong"),
        fail(400, PAYLOAD, "username", "email"),
        fail(404, NO_PATH),
    ),
    "a hundred requests that follow at once are all answered": one(
        get("/ping") * 100, *[success(message="pong")] * 100
    ),
    "nothing that follows a last request is served": one(
        get("/ping", "Connection: close") + get("/users/0"), success(message="pong", connection="close")
    ),
    "garbage behind a request leaves it its answer": one(
        get("/users/0") + b"\x00garbage\r\n\r\n", fail(404, NO_USER)
    ),
    "garbage behind a request with a body leaves it its answer": one(
        send("POST /users", "{}") + b"\x00garbage\r\n\r\n", fail(400, PAYLOAD, "username", "email")
    ),
    "a broken chunk behind a request leaves that one its answer": one(
        get("/users/0") + head("POST /users", JSON, CHUNKED) + b"zz\r\n", fail(404, NO_USER)
    ),
    "a body that looks like a request is a body": one(send("POST /users", SMUGGLED), fail(400, PAYLOAD, "")),
    "a body on GET that looks like a request is a body": one(
        send("GET /users/0", SMUGGLED), fail(404, NO_USER)
    ),
    "a body without a length is the next request": one(
        head("POST /users", JSON) + get("/users/0"), fail(400, PAYLOAD, ""), fail(404, NO_USER)
    ),
    "a body on a method that is not allowed is not a request": one(
        send("PUT /users", SMUGGLED), fail(405, NO_METHOD, allow="GET, HEAD, POST")
    ),
    "HTTP/1.0 is served and closes": one(
        get("/ping", version="HTTP/1.0"), success(message="pong", connection="close")
    ),
    "HTTP/1.0 without a host is served": one(
        get("/ping", version="HTTP/1.0", host=None), success(message="pong", connection="close")
    ),
    "HTTP/1.0 that asks to stay is served and closes": one(
        get("/ping", "Connection: keep-alive", version="HTTP/1.0"),
        success(message="pong", connection="close"),
    ),
    "a chunked body in HTTP/1.0 is served and closes": one(
        chunked("POST /users", "{}", version="HTTP/1.0"),
        fail(400, PAYLOAD, "username", "email", connection="close"),
    ),
    "two spaces for one in the request line are served": one(
        b"GET  /ping  HTTP/1.1\r\nHost: a\r\n\r\n", success(message="pong")
    ),
    "RTSP/1.0 is served as HTTP/1.0": one(
        get("/ping", version="RTSP/1.0"), success(message="pong", connection="close")
    ),
    "HTTP/0.9 is refused": one(b"GET /ping\r\n\r\n", REFUSED),
    "a websocket upgrade is ignored": one(
        get(
            "/ping",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ),
        success(message="pong"),
    ),
    "a websocket upgrade on no path is ignored": one(
        get("/ws", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
        fail(404, NO_PATH),
    ),
    "an upgrade to HTTP/2 is ignored": one(
        get(
            "/ping", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"
        ),
        success(message="pong"),
    ),
    "an upgrade with a body is ignored": one(
        send("POST /users", "{}", JSON, "Connection: Upgrade", "Upgrade: h2c"),
        fail(400, PAYLOAD, "username", "email"),
    ),
    "a request after an ignored upgrade is served": one(
        get("/ping", "Connection: Upgrade", "Upgrade: h2c") + get("/users/0"),
        success(message="pong"),
        fail(404, NO_USER),
    ),
    "a body after an upgrade is not a request": one(
        send("POST /users", SMUGGLED, JSON, "Connection: Upgrade", "Upgrade: h2c"), fail(400, PAYLOAD, "")
    ),
    "a late body after an upgrade is not a request": Case(
        (
            head(
                "POST /nowhere",
                "Connection: Upgrade",
                "Upgrade: websocket",
                f"Content-Length: {len(SMUGGLED)}",
            ),
            Pause(0.1),
            SMUGGLED,
        ),
        (fail(404, NO_PATH),),
    ),
    "a chunked body after an upgrade is not a request": one(
        head("POST /users", JSON, CHUNKED, "Connection: upgrade", "Upgrade: websocket") + chunks(SMUGGLED),
        fail(400, PAYLOAD, ""),
    ),
    "an upgrade in HTTP/1.0 is ignored": one(
        get("/ping", "Connection: Upgrade", "Upgrade: h2c", version="HTTP/1.0"),
        success(message="pong", connection="close"),
    ),
    "a trailer does not make a body JSON": one(
        head("POST /users", CHUNKED) + b"2\r\n{}\r\n0\r\nContent-Type: application/json\r\n\r\n",
        fail(415, NO_JSON),
    ),
    "a trailer is not a precondition": one(
        head("PATCH /users/0", JSON, CHUNKED) + b'e\r\n{"active":true\r\n1\r\n}\r\n0\r\nIf-Match: x\r\n\r\n',
        fail(404, NO_USER),
    ),
    "a trailer that frames the body is refused": one(
        head("POST /users", JSON, CHUNKED) + b"2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n", REFUSED
    ),
    "trailers of 1 MiB are too large": one(
        head("POST /users", JSON, CHUNKED) + b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * MIB,
        fail(431, HEAD_TOO_LARGE, connection="close"),
    ),
    "a trailer of 1 MiB is too large": one(
        head("POST /users", JSON, CHUNKED) + b"2\r\n{}\r\n0\r\nX: " + b"y" * MIB,
        fail(431, HEAD_TOO_LARGE, connection="close"),
    ),
    "a chunk extension of 1 MiB is too large": one(
        head("POST /users", JSON, CHUNKED) + b"2;a=" + b"b" * MIB + b"\r\n{}\r\n",
        fail(431, HEAD_TOO_LARGE, connection="close"),
    ),
    "HEAD that follows at once leaves the answers in step": one(
        head("HEAD /users/0") + get("/ping"), empty(404), success(message="pong")
    ),
}
