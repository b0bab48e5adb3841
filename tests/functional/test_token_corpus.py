"""The corpus of tokens over HTTP: each gets its answer, and none a server error."""

import re
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import NamedTuple

import pytest

from tests.support.issuers import JWKS, ControlledIssuer, document, in_thread
from tests.support.service import Service, service
from tests.support.token_corpus import ENTRIES, Mint, signing_keys

FEWEST = 120
UNSENDABLE = {"\0", "\n", "\r"}
"""What ends a header, or the request (RFC 9110, 5.5); white space at its ends does not belong to it."""
AT_THE_EDGE = re.compile(r"\b(29|30|31) s\b")
"""The clock of the service runs on meanwhile."""


class Accepting(NamedTuple):
    """A service, and what mints tokens for it."""

    running: Service
    mint: Mint


@pytest.fixture(scope="module")
def accepting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accepting]:
    """A service whose issuer has a key of each type."""
    url = f"sqlite:///{tmp_path_factory.mktemp('corpus')}/corpus.db"
    with in_thread(ControlledIssuer()) as issuer:
        mint = Mint(issuer.url, "https://users.example", time.time(), signing_keys())
        issuer.responses[JWKS] = document(mint.jwks())
        named = {"AUTH": "required", "AUTH_ISSUER": issuer.url, "AUTH_AUDIENCE": mint.audience}
        with service(url, WEB_CONCURRENCY="1", **named) as running:
            yield Accepting(running, mint)


def ask(port: int, token: str) -> int:
    """Return the status of a request with the token, whatever its characters are."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest("GET", "/users/blah")
    connection.putheader("Authorization", b"Bearer " + token.encode("utf-8", "surrogatepass"))
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


def test_every_token_gets_its_answer(accepting: Accepting, capsys: pytest.CaptureFixture[str]) -> None:
    tokens = {entry: entry.token(accepting.mint) for entry in ENTRIES}
    sent = {
        entry: token
        for entry, token in tokens.items()
        if not UNSENDABLE & set(token) and token == token.strip() and not AT_THE_EDGE.search(entry.name)
    }

    statuses = {entry: ask(accepting.running.port, token) for entry, token in sent.items()}

    with capsys.disabled():
        print(f"\ntokens: {len(sent)} of {len(ENTRIES)} sent, {list(statuses.values()).count(401)} rejected")
    assert len(sent) >= FEWEST
    # An accepted one leads to a user that does not exist, or lacks the scope; the largest exceed the head.
    expected = {entry: {403, 404} if entry.accepted else {401, 431} for entry in sent}
    assert {entry.name: status for entry, status in statuses.items() if status not in expected[entry]} == {}
    assert "Traceback" not in accepting.running.output()
