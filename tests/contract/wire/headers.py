"""Headers: large numbers and sizes, unusual names and values, preconditions."""

from tests.contract.wire.case import (
    HEAD_TOO_LARGE,
    NO_USER,
    PARAMETER,
    PAYLOAD,
    REFUSED,
    STALE,
    empty,
    fail,
    one,
    success,
)
from tests.support.hostile import HOSTS, NO_HEADER
from tests.support.raw_http import get, head, send

KIB = 1024

SERVED = {
    "a value with bytes above ASCII": "X: \xff\xfe\xc3\xa9",
    "an empty value": "X:",
    "a value of spaces": "X:      ",
    "a value with a tab": "X: a\tb",
    "a value without a space in front": "X:y",
    "a name of signs": "!#$%&'*+-.^_`|~: y",
    "an Accept that wants XML": "Accept: application/xml",
    "an Accept that is nonsense": "Accept: ;;;,,,q=",
    "an Accept of 10,000 types": "Accept: " + ", ".join(["a/b"] * 10000),
    "an Accept-Encoding that forbids all": "Accept-Encoding: *;q=0",
    "an Accept-Charset": "Accept-Charset: utf-16",
    "an Accept-Language that is nonsense": "Accept-Language: \xff",
    "a forwarded host": "X-Forwarded-Host: evil.example",
    "a forwarded scheme": "X-Forwarded-Proto: javascript",
    "a forwarded address": "X-Forwarded-For: not an address, ::1, \xff",
    "a forwarded prefix": "X-Forwarded-Prefix: //evil.example",
    "an original URL": "X-Original-URL: /users/0",
    "a script name": "Script-Name: /evil",
    "a Proxy header": "Proxy: http://evil.example",
    "a variable of WSGI": "Wsgi.Input: x",
    "a cookie that is nonsense": 'Cookie: =;=;\xff;a="b; $Version=1',
    "an Authorization that is nonsense": "Authorization: Bearer \xff",
    "a range": "Range: bytes=0-0",
    "a range that is nonsense": "Range: bytes=9-1,x-,-",
    "a date that is nonsense": "If-Modified-Since: yesterday",
    "another date that is nonsense": "If-Unmodified-Since: tomorrow",
    "a Connection that names a header": "Connection: host",
    "a Connection that is nonsense": "Connection: ,,;=",
    "a TE": "TE: trailers, chunked",
    "an Origin": "Origin: null",
    "a name with an underscore": "Content_Length: 99",
    "a hundred headers": "\r\n".join(f"X-{number}: y" for number in range(100)),
    "a header of 60 KiB": "X: " + "y" * 60 * KIB,
    "6000 headers": "\r\n".join(["X-1: y"] * 6000),
}

TOO_LARGE = {
    "a header of 64 KiB": "X: " + "y" * 64 * KIB,
    "a header of 1 MiB": "X: " + "y" * KIB * KIB,
    "a header of 8 MiB": "X: " + "y" * 8 * KIB * KIB,
    "a header's name of 1 MiB": "X" * KIB * KIB + ": y",
    "100,000 headers": "\r\n".join(["X-1: y"] * 100000),
    "100,000 headers without a value": "\r\n".join(["X:"] * 100000),
    "a Host of 100 KiB": "Cookie: " + "a" * 100 * KIB,
}

NO_TAGS = {
    "without quotes": "1-abc",
    "with one quote": '"1-abc',
    "with a quote inside": '"a"b"',
    "in single quotes": "'1-abc'",
    "that is empty": "",
    "of nothing but a comma": ",",
    "with a comma after it": '"a",',
    "with a lower-case weakness": 'w/"a"',
    "with a weakness alone": "W/",
    "with a space inside": '"a b"',
    "with bytes above ASCII": '"\xff"',
    "with an asterisk in a list": '*, "a"',
    "with an asterisk in quotes and one without": '"*" *',
    "of 65 characters": '"' + "a" * 65 + '"',
    "in a list of 17": ", ".join(['"a"'] * 17),
    "in a list of 1000": ", ".join(['"a"'] * 1000),
    "of 60 KiB": '"' + "a" * 60 * KIB + '"',
    "in quotes that never close": '"' * 9,
}

CHANGES = {
    "PUT": '{"username": "Ada", "email": "ada@wire.example"}',
    "PATCH": '{"username": "Ada"}',
    "DELETE": "{}",
}


def change(method, *headers):
    return send(f"{method} /users/<id>", CHANGES[method], "Content-Type: application/json", *headers)


HEADERS = {
    **{f"{name} is not a header": one(get("/ping", line), REFUSED) for name, line in NO_HEADER.items()},
    **{
        f"{name} changes nothing": one(get("/ping", line), success(message="pong"))
        for name, line in SERVED.items()
    },
    **{
        f"{name} is too large": one(get("/ping", line), fail(431, HEAD_TOO_LARGE, connection="close"))
        for name, line in TOO_LARGE.items()
    },
    **{f"{name} is refused": one(get("/ping", *lines, host=None), REFUSED) for name, lines in HOSTS.items()},
    **{
        f"an If-None-Match {name} is refused": one(
            get("/users/<id>", f"If-None-Match: {tag}"), fail(400, PARAMETER, "If-None-Match")
        )
        for name, tag in NO_TAGS.items()
    },
    **{
        f"an If-Match {name} is refused": one(
            change("PATCH", f"If-Match: {tag}"), fail(400, PARAMETER, "If-Match")
        )
        for name, tag in NO_TAGS.items()
    },
    **{
        f"a stale If-Match stops {method}": one(change(method, 'If-Match: "1-0"'), fail(412, STALE))
        for method in CHANGES
    },
    **{
        f"a weak If-Match stops {method}": one(change(method, "If-Match: W/<etag>"), fail(412, STALE))
        for method in CHANGES
    },
    **{
        f"an empty tag stops {method}": one(change(method, 'If-Match: ""'), fail(412, STALE))
        for method in CHANGES
    },
    "a target of 100 KiB is too large": one(
        get("/" + "a" * 100 * KIB), fail(431, HEAD_TOO_LARGE, connection="close")
    ),
    "a target of 8 MiB is too large": one(
        get("/" + "a" * 8 * KIB * KIB), fail(431, HEAD_TOO_LARGE, connection="close")
    ),
    "a query of 100 KiB is too large": one(
        get("/users?" + "a" * 100 * KIB), fail(431, HEAD_TOO_LARGE, connection="close")
    ),
    "an If-None-Match in two lines is one list": one(
        get("/users/<id>", 'If-None-Match: "a"', "If-None-Match: <etag>"), empty(304, etag="<etag>")
    ),
    "an If-None-Match with spaces and tabs wherever there may be some": one(
        get("/users/<id>", 'If-None-Match: \t "a"\t ,\t "b","c"  , <etag> \t '), empty(304, etag="<etag>")
    ),
    "an If-None-Match may be weak": one(
        get("/users/<id>", "If-None-Match: W/<etag>"), empty(304, etag="<etag>")
    ),
    "an If-None-Match of anything finds the user": one(
        get("/users/<id>", "If-None-Match: *"), empty(304, etag="<etag>")
    ),
    "an If-None-Match on HEAD finds the user": one(
        head("HEAD /users/<id>", "If-None-Match: *"), empty(304, etag="<etag>")
    ),
    "an If-None-Match of anything on an unknown user is 404": one(
        get("/users/0", "If-None-Match: *"), fail(404, NO_USER)
    ),
    "an If-Match of anything on an unknown user is 404": one(
        head("DELETE /users/0", "If-Match: *"), fail(404, NO_USER)
    ),
    "an If-Match of many stale tags stops DELETE": one(
        change("DELETE", "If-Match: " + ", ".join(['"a"'] * 16)), fail(412, STALE)
    ),
    "an If-Match in two lines of which one is broken is refused": one(
        change("DELETE", 'If-Match: "a"', "If-Match: b"), fail(400, PARAMETER, "If-Match")
    ),
    "an If-Match where there is no version is ignored": one(
        send("POST /users", "{}", "Content-Type: application/json", "If-Match: x"),
        fail(400, PAYLOAD, "username", "email"),
    ),
    "a host with a port that is not a number changes nothing": one(
        get("/ping", host="Host: users.example:http"), success(message="pong")
    ),
    "a host that is not a name changes nothing": one(
        get("/ping", host="Host: ][<>\"'\xff"), success(message="pong")
    ),
    "an empty host changes nothing": one(get("/ping", host="Host:"), success(message="pong")),
    "a host that is a list changes nothing": one(get("/users/0", host="Host: a, b"), fail(404, NO_USER)),
    "a host with user and path changes nothing": one(
        get("/users/0", host="Host: a@b/c?d#e"), fail(404, NO_USER)
    ),
    "a range of the document changes nothing": one(
        head("HEAD /openapi.json", "Range: bytes=0-0"), empty(200)
    ),
    "a range of the documentation changes nothing": one(head("HEAD /ui/", "Range: bytes=0-0"), empty(200)),
    "a range of the documentation that is nonsense changes nothing": one(
        head("HEAD /ui/", "Range: bytes=9-1,x-,-"), empty(200)
    ),
    "a thousand ranges of the documentation change nothing": one(
        head("HEAD /ui/", "Range: bytes=" + ",".join(["0-0"] * 1000)), empty(200)
    ),
}
