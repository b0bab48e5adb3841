"""Verification of access tokens: RFC 9068 for the token, RFC 8725 and its draft successor for the pitfalls.

An ECDSA signature (r, n - s) is accepted as well as (r, s): the issuer may have created either, and both sign
the same claims. So a token has several texts, and is identified by its `jti`.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from users_api.access.claims import (
    check_audience,
    check_dates,
    check_issuer,
    read_client_id,
    read_name,
    read_scopes,
)
from users_api.access.keys import PublicKeys
from users_api.access.signed_tokens import SignedToken, excerpt


class InvalidToken(Exception):  # noqa: N818 -- exceptions here are named for what happened.
    """The token is rejected; the text is the reason, for the log and never for the client."""

    status_code = HTTPStatus.UNAUTHORIZED  # Connexion compares it if several schemes fail.


class UnknownKey(InvalidToken):
    """No key of the issuer has the token's id.

    Raised only for a token whose form is right, so that garbage never leads to a fetch of keys.
    """

    def __init__(self, kid: str | None) -> None:
        """Store the id."""
        self.kid = kid
        super().__init__(f"no key of the issuer has its kid {excerpt(kid)}")


class AccessToken(NamedTuple):
    """What a verified token says; times are in seconds since 1970."""

    client_id: str
    subject: str
    scopes: frozenset[str]
    expires_at: float
    token_id: str
    issued_at: float


class TokenVerifier:
    """Verifies the tokens that one issuer creates for one audience."""

    def __init__(self, issuer: str, audience: str) -> None:
        """Store what `iss` and `aud` must be."""
        self._issuer, self._audience = issuer, audience

    def verify(self, token: str, keys: PublicKeys, now: float) -> AccessToken:
        """Return what the token says.

        Raises:
            InvalidToken: it is malformed, signed by no key of the issuer, or not valid here and now.
            UnknownKey: its form is right, but the issuer has no key with its id.
        """
        try:
            signed = SignedToken.parse(token)
            _check_signature(signed, keys)
            return self._read(signed.claims, now)
        except ValueError as error:
            raise InvalidToken(str(error)) from None

    def _read(self, claims: Mapping[str, Any], now: float) -> AccessToken:
        check_issuer(claims, self._issuer)
        check_audience(claims, self._audience)
        issued_at, expires_at = check_dates(claims, now)
        return AccessToken(
            client_id=read_client_id(claims),
            subject=read_name(claims, "sub"),
            scopes=read_scopes(claims),
            expires_at=expires_at,
            token_id=read_name(claims, "jti"),
            issued_at=issued_at,
        )


def _check_signature(token: SignedToken, keys: PublicKeys) -> None:
    """Verify the signature with the keys that the token's id names, before any claim is read."""
    found = keys.find(token.kid)
    if not found and token.kid is None and len(keys) > 1:
        message = "it has no kid, but the issuer has several keys"
        raise ValueError(message)
    if not found:
        raise UnknownKey(token.kid)
    if not any(key.verifies(token.algorithm, token.message, token.signature) for key in found):
        message = f"its signature by {token.algorithm} is not of the issuer's key {excerpt(token.kid)}"
        raise ValueError(message)
