"""Hostile requests as raw bytes: each receives the expected response, and the server keeps running."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.wire.bodies import BODIES
from tests.contract.wire.case import EMAIL, one
from tests.contract.wire.conversation import PONG, check, converse
from tests.contract.wire.framing import FRAMING
from tests.contract.wire.headers import HEADERS
from tests.contract.wire.methods import METHODS
from tests.contract.wire.slow import SLOW
from tests.contract.wire.targets import TARGETS
from tests.support.raw_http import get, send

QUICK = (TARGETS, METHODS, FRAMING, HEADERS, BODIES)
CASES = {name: case for cases in (*QUICK, SLOW) for name, case in cases.items()}
FEWEST = 600


@pytest.fixture(scope="module")
def words(server):
    """Replacements for the words in angle brackets: the cases share one existing user."""
    made = one(send("POST /users", f'{{"username": "Ada", "email": "{EMAIL}"}}'), PONG)
    ((_, answer), _), _ = converse(server.port, made, {})
    return {"<id>": answer.headers["location"].rpartition("/")[2], "<etag>": answer.headers["etag"]}


@pytest.fixture(scope="module")
def talks(server, words):
    """Runs a case; all slow cases start with the first one."""
    with ThreadPoolExecutor(len(SLOW)) as pool:
        begun = {name: pool.submit(converse, server.port, case, words) for name, case in SLOW.items()}
        yield (
            lambda name: begun[name].result() if name in begun else converse(server.port, CASES[name], words)
        )


@pytest.mark.parametrize("name", CASES)
def test_the_wire(server, words, talks, name):
    talk, rest = talks(name)

    afterwards, _ = converse(server.port, one(get("/ping"), PONG), {})
    for expected, received in talk + afterwards:
        check(expected, received, words)
    assert rest == b""
    assert "Traceback" not in server.output()


def test_the_corpus_is_large():
    assert len(CASES) == sum(map(len, (*QUICK, SLOW)))
    assert len(CASES) >= FEWEST
