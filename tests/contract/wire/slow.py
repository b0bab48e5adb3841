"""Slow clients: each case takes as long as the timeout that it triggers, so they run in parallel."""

from tests.contract.wire.case import SLOW_BODY, SLOW_HEAD, Case, Pause, fail, success
from tests.support.raw_http import JSON, get, head

TRICKLE = (b"x", Pause(1)) * 12

SLOW = {
    "a body that never comes is not waited for": Case(
        (head("POST /users", JSON, "Content-Length: 99"),), (fail(408, SLOW_BODY, connection="close"),)
    ),
    "a body that trickles is not waited for": Case(
        (head("POST /users", JSON, "Content-Length: 99"), *TRICKLE),
        (fail(408, SLOW_BODY, connection="close"),),
    ),
    "a chunked body that never comes is not waited for": Case(
        (head("POST /users", JSON, "Transfer-Encoding: chunked"),),
        (fail(408, SLOW_BODY, connection="close"),),
    ),
    "a body on GET that never comes is not waited for": Case(
        (head("GET /ping", "Content-Length: 99"),), (fail(408, SLOW_BODY, connection="close"),)
    ),
    "a body that is asked for and never comes is not waited for": Case(
        (head("POST /users", JSON, "Content-Length: 99", "Expect: 100-continue"),),
        (fail(408, SLOW_BODY, connection="close"),),
    ),
    "a head that never ends is not waited for": Case(
        (b"GET /ping HTTP/1.1\r\nHost: users.example\r\nX: ",), (fail(408, SLOW_HEAD, connection="close"),)
    ),
    "a head that trickles is not waited for": Case(
        (b"GET /ping HTTP/1.1\r\nHost: users.example\r\nX: ", *TRICKLE),
        (fail(408, SLOW_HEAD, connection="close"),),
    ),
    "a second head that never ends is not waited for": Case(
        (get("/ping") + b"GET /",), (success(message="pong"), fail(408, SLOW_HEAD, connection="close"))
    ),
    "a connection without a request is closed": Case((), closed=True),
    "a connection of empty lines is closed": Case((b"\r\n", Pause(1)) * 12, closed=True),
}
