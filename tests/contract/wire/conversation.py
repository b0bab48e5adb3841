"""Runs a case: sends raw bytes over a socket, and checks the responses."""

import json
import socket
from contextlib import suppress
from select import select

from tests.contract.wire.case import Pause, success
from tests.support.raw_http import Stream, get, read_response
from tests.support.security_headers import is_guarded

SECONDS = 20
METRICS = "text/plain; version=0.0.4; charset=utf-8"
PROPERTIES = {
    "keys": {"keys"},
    "token": {"access_token", "token_type", "expires_in", "scope"},
    "refusal": {"error", "error_description"},
}
PONG = success(message="pong")
LAST_PONG = success(message="pong", connection="close")


def converse(port, case, words):
    """Send the pieces; return each expected response with the received one, and any bytes after the last one.

    Unless a response closed the connection, one more request must receive exactly its own response.
    """
    with (
        socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection,
        connection.makefile("rb", buffering=0) as raw,
    ):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = Stream(raw)
        _send(connection, case, words)
        talk = [(answer, _read(stream, answer)) for answer in case.answers]
        if not (case.half_closes or case.closed or talk[-1][1].headers["connection"] == "close"):
            connection.sendall(get("/ping", "Connection: close"))
            talk.append((LAST_PONG, _read(stream, LAST_PONG)))
        return talk, stream.read()


def _send(connection, case, words):
    """Send piece by piece; a server that has sent its last response need not read the rest."""
    with suppress(BrokenPipeError, ConnectionResetError):
        for piece in case.pieces:
            if isinstance(piece, Pause):
                select([connection], [], [], piece.seconds)
            else:
                connection.sendall(_spell(piece, words))
        if case.half_closes:
            connection.shutdown(socket.SHUT_WR)


def _spell(piece, words):
    for word, meaning in words.items():
        piece = piece.replace(word.encode(), meaning.encode())
    return piece


def _read(stream, answer):
    return read_response(stream, "HEAD" if answer.form is None else "GET")


def check(expected, received, words):
    """Check that the complete response is the expected one."""
    assert received.status == expected.status, received.body
    may_be_page = expected.form is None
    assert is_guarded(received.headers) or (may_be_page and is_guarded(received.headers, is_page=True))
    for name, value in expected.headers:
        assert received.headers[name] == words.get(value, value)
    if expected.form == "metrics":
        assert received.headers["content-type"] == METRICS
        assert received.body.startswith(b"# HELP ")
    elif expected.form:
        assert received.headers["content-type"] == "application/json"
        check_form(expected, json.loads(received.body))


def check_form(expected, body):
    """Check that the body has the expected form, and names exactly the invalid fields."""
    if expected.form in PROPERTIES:
        assert body.keys() == PROPERTIES[expected.form]
        assert expected.message in {None, body.get("error")}
        return
    assert body["status"] == expected.form
    assert expected.message in {None, body.get("message")}
    assert {error["field"] for error in body.get("errors", ())} == set(expected.fields)
