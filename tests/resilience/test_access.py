"""The issuer of access tokens fails or changes its keys, tokens name unknown keys, or Redis is down.

No valid request is rejected meanwhile, and no request waits for the issuer unless its key is unknown.
"""

import http.client
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from typing import NamedTuple

import pytest

from tests.resilience.callers import is_served
from tests.resilience.conftest import UnderLoad
from tests.support.issued import AUDIENCE, EVERYTHING, HEADER, claims, signer
from tests.support.issuers import (
    DISCONNECT,
    JWKS,
    ControlledIssuer,
    Respond,
    content,
    hang,
    in_thread,
    new_key,
)
from tests.support.postgres import PostgreSQL
from tests.support.redis import redis
from tests.support.service import Service, service
from tests.support.waiting import until
from users_api.access.issuer import COOLDOWN_SECONDS

UNKNOWN_KEYS = 10_000
STRANGERS = 8
UNAUTHORIZED = 401
UNREACHABLE = "could not be fetched"
WORKERS = 2
ROTATIONS = 2
LONGEST_WAIT = 1.0
FAILURES = {"hangs": hang, "returns garbage": content(b"\0{"), "disconnects": DISCONNECT}


class Trusting(NamedTuple):
    """A service, and the issuer of its tokens."""

    running: Service
    issuer: ControlledIssuer

    def token(self) -> str:
        """Return a token for everything, signed with the issuer's present key."""
        return signer(self.issuer.key)(HEADER, claims(self.issuer.url, scope=EVERYTHING))

    def ask_with_unknown_key(self) -> int:
        """Send a token with a key that the issuer does not have, and return the status."""
        token = signer(new_key())(HEADER, claims(self.issuer.url, scope=EVERYTHING))
        return ask(self.running.port, token)


@pytest.fixture(scope="module")
def trusting(postgres: PostgreSQL) -> Iterator[Trusting]:
    """The real server with two workers, which have fetched the keys of an external issuer."""
    with in_thread(ControlledIssuer()) as issuer:
        named = {"AUTH": "required", "AUTH_ISSUER": issuer.url, "AUTH_AUDIENCE": AUDIENCE}
        with service(postgres.create("users_issued"), **named) as running:
            until(lambda: issuer.requests.count(JWKS) == WORKERS)
            yield Trusting(running, issuer)


@pytest.fixture
def reused(trusting: Trusting) -> Callable[[], str]:
    """Returns one token again and again, as clients do."""
    token = trusting.token()
    return lambda: token


def ask(port: int, token: str) -> int:
    """Return the status of a request with the token."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", "/users/1", headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status


def fetch_again(trusting: Trusting) -> None:
    """Return when a worker has tried to fetch the keys because of an unknown one."""
    trusting.issuer.forget_requests()
    until(lambda: trusting.ask_with_unknown_key() == UNAUTHORIZED and trusting.issuer.requests)


@pytest.mark.parametrize(("failure", "respond"), FAILURES.items(), ids=FAILURES)
def test_the_issuer_fails(
    under_load: UnderLoad, trusting: Trusting, reused: Callable[[], str], failure: str, respond: Respond
) -> None:
    with under_load(f"the issuer of the tokens {failure}", trusting.running, token=reused) as load:
        trusting.issuer.everywhere = respond
        fetch_again(trusting)
        load.go_on()
        trusting.issuer.everywhere = None

    assert all(map(is_served, load.answers))
    assert max(answer.ended - answer.began for answer in load.answers) < LONGEST_WAIT


def test_the_issuer_is_unreachable(under_load: UnderLoad, postgres: PostgreSQL) -> None:
    with ExitStack() as reachable:
        issuer = reachable.enter_context(in_thread(ControlledIssuer()))
        named = {"AUTH": "required", "AUTH_ISSUER": issuer.url, "AUTH_AUDIENCE": AUDIENCE}
        with service(postgres.create("users_without_issuer"), **named) as running:
            until(lambda: issuer.requests.count(JWKS) == WORKERS)
            trusting = Trusting(running, issuer)
            with under_load("the issuer of the tokens is unreachable", running, token=trusting.token) as load:
                reachable.close()
                until(
                    lambda: (
                        trusting.ask_with_unknown_key() == UNAUTHORIZED and UNREACHABLE in running.output()
                    )
                )
                load.go_on()

    assert all(map(is_served, load.answers))


def test_the_issuer_rotates_its_keys(under_load: UnderLoad, trusting: Trusting) -> None:
    with under_load(
        "the issuer of the tokens rotates its keys", trusting.running, token=trusting.token
    ) as load:
        for _ in range(ROTATIONS):
            load.over.wait(COOLDOWN_SECONDS)  # An unknown key is looked for once in this time.
            old, trusting.issuer.key = trusting.issuer.key, new_key()
            trusting.issuer.keys = [old, trusting.issuer.key]
            load.go_on()

    assert all(map(is_served, load.answers))


def test_tokens_name_unknown_keys(
    under_load: UnderLoad, trusting: Trusting, reused: Callable[[], str]
) -> None:
    stranger = new_key()
    tokens = [
        signer(stranger, f"unknown{number}")(HEADER, claims(trusting.issuer.url))
        for number in range(UNKNOWN_KEYS)
    ]
    trusting.issuer.forget_requests()

    began = time.monotonic()
    with (
        under_load("10,000 tokens with unknown keys", trusting.running, token=reused) as load,
        ThreadPoolExecutor(STRANGERS) as pool,
    ):
        statuses = set(pool.map(partial(ask, trusting.running.port), tokens))
        load.go_on()
    seconds = time.monotonic() - began

    assert statuses == {UNAUTHORIZED}
    assert all(map(is_served, load.answers))
    assert trusting.issuer.requests.count(JWKS) <= WORKERS * (1 + seconds / COOLDOWN_SECONDS)


def test_redis_is_down(under_load: UnderLoad, postgres: PostgreSQL) -> None:
    with redis() as store:
        settings = {"RATE_LIMIT": "1000000/minute", "RATE_LIMIT_STORE": store.url}
        with (
            service(postgres.create("users_limited"), **settings) as running,
            under_load("the Redis of the rate limits is killed, then hangs", running) as load,
        ):
            store.signal(signal.SIGKILL)
            load.go_on()
            store.start()
            load.go_on()
            store.signal(signal.SIGSTOP)
            load.go_on()
            store.signal(signal.SIGCONT)
            load.go_on()

    assert all(map(is_served, load.answers))
