"""The keys and tokens of npm's `oidc-provider`."""

import asyncio
import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest

from tests.support.oidc_provider.provider import AUDIENCE, CLIENT, SCOPES, OidcProvider
from users_api.access.issuer import Issuer


def decode(token: str) -> list[dict[str, Any]]:
    """Return the header and the claims of a token."""
    return [json.loads(urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]


async def verifies(issuer: Issuer, token: str) -> bool:
    """Return whether a key of the issuer has signed the token, after a fetch if it is unknown."""
    header, _ = decode(token)
    message, _, signature = token.rpartition(".")
    assert await issuer.refresh_for(header["kid"])
    (key,) = issuer.keys.find(header["kid"])
    return key.verifies(header["alg"], message.encode(), urlsafe_b64decode(signature + "=="))


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_its_tokens_are_those_of_rfc_9068(provider: OidcProvider, algorithm: str) -> None:
    header, claims = decode(provider.token(algorithm=algorithm))

    lifetime = claims.pop("exp") - claims.pop("iat")
    assert header.keys() == {"typ", "alg", "kid"}
    assert (header["typ"], header["alg"]) == ("at+jwt", algorithm)
    assert claims.pop("jti")
    assert lifetime == 300
    assert claims == {
        "iss": provider.url,
        "aud": AUDIENCE,
        "sub": CLIENT["id"],
        "client_id": CLIENT["id"],
        "scope": SCOPES,
    }


def test_its_keys_verify_its_tokens_before_and_after_a_rotation(provider: OidcProvider) -> None:
    async def play() -> None:
        issuer = Issuer(provider.url)
        await issuer.start()
        old = [provider.token(algorithm=algorithm) for algorithm in ("ES256", "RS256")]
        assert [await verifies(issuer, token) for token in old] == [True, True]

        provider.rotate()
        new = [provider.token(algorithm=algorithm) for algorithm in ("ES256", "RS256")]
        assert [await verifies(issuer, token) for token in new] == [True, True]
        assert [issuer.keys.find(decode(token)[0]["kid"]) for token in old] == [[], []]

        await issuer.stop()

    asyncio.run(play())
