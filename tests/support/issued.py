"""Services that require access tokens, by their own issuer or an external one, and tokens of every kind."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from joserfc import jwt
from joserfc.jwk import Key

from tests.support.issuers import ALGORITHMS, ControlledIssuer, in_thread, new_key
from tests.support.secured import ISSUING
from tests.support.service import Service, service
from users_api.access.keys import SigningKeys, generate_key
from users_api.document import Parts, scopes

AUDIENCE = "users-api"
OWN_ISSUER = "users-api"
SCOPES = tuple(scopes())
EVERYTHING = " ".join(SCOPES)
VALID: Mapping[str, str | None] = {
    "no scope": None,
    **{scope: scope for scope in SCOPES},
    "all scopes": EVERYTHING,
}
INVALID = (
    "malformed",
    "expired",
    "not yet valid",
    "wrong issuer",
    "wrong audience",
    "wrong key",
    "wrong type",
    "revoked",
)
HEADER = {"typ": "at+jwt"}
Sign = Callable[[Mapping[str, Any], Mapping[str, Any]], str]


class Issued(NamedTuple):
    """A service, the parts of the document that it serves, and a token of each kind."""

    running: Service
    parts: Parts
    tokens: Mapping[str, str]


def claims(issuer: str, **differences: Any) -> dict[str, Any]:
    """Return the claims of a valid token without scopes; a claim that is None is left out."""
    now = int(time.time())
    usual = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": "client",
        "client_id": "client",
        "iat": now,
        "exp": now + 3600,
        "jti": os.urandom(8).hex(),
    }
    return {name: value for name, value in (usual | differences).items() if value is not None}


def make_tokens(issuer: str, sign: Sign, sign_otherwise: Sign, revoked: str) -> dict[str, str]:
    """Return a token of each kind; `sign_otherwise` signs with a key that is not the issuer's."""
    now = int(time.time())
    spoiled = {
        "expired": {"iat": now - 7200, "exp": now - 3600},
        "not yet valid": {"nbf": now + 3600},
        "wrong issuer": {"iss": f"{issuer}/"},
        "wrong audience": {"aud": "others-api"},
    }
    return {
        "malformed": "e30.e30.e30",
        **{kind: sign(HEADER, claims(issuer, scope=EVERYTHING, **each)) for kind, each in spoiled.items()},
        "wrong key": sign_otherwise(HEADER, claims(issuer, scope=EVERYTHING)),
        "wrong type": sign({"typ": "JWT"}, claims(issuer, scope=EVERYTHING)),
        "revoked": revoked,
        **{kind: sign(HEADER, claims(issuer, scope=scope)) for kind, scope in VALID.items()},
    }


@contextmanager
def own_issuer(url: str, **settings: str) -> Iterator[Issued]:
    """Start a service that issues its own tokens; one of its clients is revoked."""
    key = generate_key()
    keys = SigningKeys.parse(key)
    access = {"AUTH": "required", "TOKEN_KEYS": key, **ISSUING}
    with service(url, **access | settings) as running:
        _, client_id, *_ = running.command("clients", "add", "revoked", "--scope", "users:read").split()
        token = keys.sign(HEADER, claims(OWN_ISSUER, client_id=client_id, scope=EVERYTHING))
        running.command("clients", "revoke", client_id)
        assert running.stop() == 0  # A new worker knows the revoked clients before its first request.
        running.start()
        tokens = make_tokens(OWN_ISSUER, keys.sign, signer(new_key(), keys.kid), token)
        yield Issued(running, Parts(rate_limits=False), tokens)


@contextmanager
def external_issuer(url: str, **settings: str) -> Iterator[Issued]:
    """Start a service with an external issuer, which has withdrawn a key."""
    with in_thread(ControlledIssuer()) as issuer:
        withdrawn = signer(issuer.key)(HEADER, claims(issuer.url, scope=EVERYTHING))
        issuer.rotate()
        kid = issuer.key.thumbprint()
        tokens = make_tokens(issuer.url, signer(issuer.key), signer(new_key(), kid), withdrawn)
        named = {"AUTH": "required", "AUTH_ISSUER": issuer.url, "AUTH_AUDIENCE": AUDIENCE}
        with service(url, **named, **settings) as running:
            yield Issued(running, Parts(issuer=issuer.url, rate_limits=False), tokens)


ISSUERS = {"own": own_issuer, "external": external_issuer}


def signer(key: Key, kid: str | None = None) -> Sign:
    """Return a function that signs with the key, under the id of another one if it is given."""

    def sign(header: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
        algorithm = ALGORITHMS[key.key_type]
        named = {**header, "alg": algorithm, "kid": kid or key.thumbprint()}
        return jwt.encode(named, dict(payload), key, algorithms=[algorithm])

    return sign
