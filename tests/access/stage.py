"""Runs a test in virtual time, between an issuer that it controls and the cache of that issuer's keys."""

import asyncio
import os
from base64 import urlsafe_b64decode
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.support.issuers import JWKS, METADATA, ControlledIssuer
from tests.support.virtual_time import run_in_virtual_time
from users_api.access.issuer import Issuer, IssuerUnavailable

FETCH = [METADATA, JWKS]
Test = Callable[[ControlledIssuer, Issuer], Coroutine[Any, Any, None]]


def now() -> float:
    """Return the time of the running loop."""
    return asyncio.get_running_loop().time()


def against_an_issuer(test: Test) -> Callable[[], None]:
    """Return a test with an issuer that listens, and a cache that is not started."""

    async def play() -> None:
        async with ControlledIssuer() as remote:
            issuer = Issuer(remote.url, clock=now)
            try:
                await test(remote, issuer)
            finally:
                await issuer.stop()

    def run() -> None:
        with pytest.MonkeyPatch.context() as environment:
            environment.delenv("SSL_CERT_FILE", raising=False)
            environment.setenv(
                "SSL_CERT_DIR", os.devnull
            )  # Loading no authorities takes a tenth of the time.
            run_in_virtual_time(play())

    return run


async def start(remote: ControlledIssuer, issuer: Issuer) -> None:
    """Start, and return when the keys have been fetched; forget the requests."""
    await issuer.start()
    assert await issuer.refresh_for(remote.key.thumbprint())
    remote.forget_requests()


async def failure(issuer: Issuer) -> str:
    """Return why there are no keys."""
    with pytest.raises(IssuerUnavailable) as raised:
        await issuer.refresh_for("any")
    return str(raised.value)


def verifies(issuer: Issuer, token: str, kid: str, algorithm: str = "ES256") -> bool:
    """Return whether the issuer's key with this id has signed the token."""
    message, _, signature = token.rpartition(".")
    (key,) = issuer.keys.find(kid)
    return key.verifies(algorithm, message.encode(), urlsafe_b64decode(signature + "=="))
