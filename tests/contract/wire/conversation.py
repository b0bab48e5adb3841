"""How a case is carried out: raw bytes over a socket, and what comes back."""

import json
import socket
from contextlib import suppress
from http.client import HTTPResponse
from io import BufferedReader
from select import select

from tests.contract.wire.case import Pause, get, success

SECONDS = 20
PONG = success(message="pong")
LAST_PONG = success(message="pong", connection="close")


class Stream(BufferedReader):
    """What comes over a connection; http.client reads one answer of it and then wants to close it."""

    def makefile(self, _mode):
        return self

    def close(self):
        """Stay open for the next answer."""


def converse(port, case, words):
    """Send the pieces and return each expected answer with the received one, and the bytes behind the last: there should be none.

    Unless an answer announced the connection's end, it must be in step still: one more request gets just its own answer.
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
    """Send piece by piece; a server that has said its last word need not listen to the rest."""
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
    response = HTTPResponse(stream, method="HEAD" if answer.outcome is None else "GET")
    response.begin()
    response.body = response.read()
    return response


def check(expected, received, words):
    """See that the answer is the expected one, whole."""
    assert received.status == expected.status, received.body
    for name, value in expected.headers:
        assert received.headers[name] == words.get(value, value)
    if expected.outcome:
        assert received.headers["content-type"] == "application/json"
        check_envelope(expected, json.loads(received.body))


def check_envelope(expected, envelope):
    """See that the envelope says what is expected, and names each refused field and no other."""
    assert envelope["status"] == expected.outcome
    assert expected.message in {None, envelope.get("message")}
    assert {error["field"] for error in envelope.get("errors", ())} == set(expected.fields)
