"""Hostile requests as raw bytes: each receives the expected response, and the server keeps running.

With AUTH=required, the same requests with a token receive the same responses, and without one they are
rejected, whatever else is wrong with them.
"""

import base64
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from tests.contract.wire.bodies import BODIES
from tests.contract.wire.case import BASIC, CLIENT, EMAIL, SECRET, one
from tests.contract.wire.conversation import PONG, check, converse
from tests.contract.wire.credentials import LATE, with_token, without_token
from tests.contract.wire.framing import FRAMING
from tests.contract.wire.headers import HEADERS
from tests.contract.wire.methods import METHODS
from tests.contract.wire.metrics import METRICS
from tests.contract.wire.slow import SLOW
from tests.contract.wire.targets import TARGETS
from tests.contract.wire.tokens import KEYS, SLOW_TOKENS, TOKEN_REQUESTS
from tests.support.issued import SCOPES, own_issuer
from tests.support.raw_http import get, send
from tests.support.service import Service

QUICK = (TARGETS, METHODS, FRAMING, HEADERS, BODIES, METRICS)
CASES = {name: case for cases in (*QUICK, SLOW) for name, case in cases.items()}
REJECTED = LATE | {name: rejected for name, case in CASES.items() if (rejected := without_token(case))}
TOKENS = TOKEN_REQUESTS | KEYS | SLOW_TOKENS
FEWEST = 600
FEWEST_REJECTED = 300


class Stage(NamedTuple):
    """A service, and the words in angle brackets with their replacements."""

    service: Service
    words: dict[str, str]
    token: str | None = None

    def run(self, case):
        """Run a case; return the expected and received responses, and any bytes after the last one."""
        return converse(self.service.port, case, self.words)


@pytest.fixture(scope="module")
def open_stage(server):
    """A service with AUTH=none."""
    return Stage(server, existing_user(server))


@pytest.fixture(scope="module")
def secured_stage(postgres):
    """A service with AUTH=required, and a client of it."""
    with own_issuer(postgres.create("wire")) as issued:
        scopes = [part for scope in SCOPES for part in ("--scope", scope)]
        _, client, _, secret = issued.running.command("clients", "add", "wire", *scopes).split()
        basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
        token = issued.tokens["all scopes"]
        words = existing_user(issued.running, token) | {CLIENT: client, SECRET: secret, BASIC: basic}
        yield Stage(issued.running, words, token)


def existing_user(service, token=None):
    """Add the user that the cases share, and return the words for it."""
    made = one(send("POST /users", f'{{"username": "Ada", "email": "{EMAIL}"}}'), PONG)
    ((_, answer), _), _ = converse(service.port, with_token(made, token) if token else made, {})
    return {"<id>": answer.headers["location"].rpartition("/")[2], "<etag>": answer.headers["etag"]}


@contextmanager
def started(run, cases):
    """Start all of the slow cases; yield a function that returns the result of one."""
    with ThreadPoolExecutor(len(cases)) as pool:
        begun = {name: pool.submit(run, case) for name, case in cases.items()}
        yield lambda name: begun[name].result()


@pytest.fixture(scope="module")
def slow_talks(open_stage):
    with started(open_stage.run, SLOW) as talks:
        yield talks


@pytest.fixture(scope="module")
def slow_secured_talks(secured_stage):
    secured = {name: with_token(case, secured_stage.token) for name, case in SLOW.items()}
    with started(secured_stage.run, secured | SLOW_TOKENS) as talks:
        yield talks


def judge(stage, talk, rest):
    """Check all responses, and that the server still serves others."""
    afterwards, _ = converse(stage.service.port, one(get("/ping"), PONG), {})
    for expected, received in talk + afterwards:
        check(expected, received, stage.words)
    assert rest == b""
    assert "Traceback" not in stage.service.output()


@pytest.mark.parametrize("name", CASES)
def test_the_wire(open_stage, slow_talks, name):
    talk = slow_talks(name) if name in SLOW else open_stage.run(CASES[name])

    judge(open_stage, *talk)


@pytest.mark.parametrize("name", CASES)
def test_the_wire_with_tokens(secured_stage, slow_secured_talks, name):
    case = with_token(CASES[name], secured_stage.token)
    talk = slow_secured_talks(name) if name in SLOW else secured_stage.run(case)

    judge(secured_stage, *talk)


@pytest.mark.parametrize("name", TOKENS)
def test_the_wire_to_the_token_endpoint(secured_stage, slow_secured_talks, name):
    talk = slow_secured_talks(name) if name in SLOW_TOKENS else secured_stage.run(TOKENS[name])

    judge(secured_stage, *talk)


@pytest.mark.parametrize("name", REJECTED)
def test_the_wire_without_tokens(secured_stage, name):
    judge(secured_stage, *secured_stage.run(REJECTED[name]))


def test_the_corpus_is_large():
    assert len(CASES) == sum(map(len, (*QUICK, SLOW)))
    assert len(CASES) >= FEWEST
    assert len(REJECTED) >= FEWEST_REJECTED
