"""Bearer tokens (RFC 6750): finds the access token of a request and checks its scopes.

`BearerTokens` is a security handler with the interface of Connexion's: `get_fn` returns the function that
checks the requests of an operation.
"""

import hashlib
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from time import time
from typing import Any, Final, NamedTuple, Protocol

from connexion.security import NO_VALUE
from starlette.types import Scope

from users_api.access.keys import PublicKeys
from users_api.access.tokens import AccessToken, InvalidToken, TokenVerifier, UnknownKey

AUTHORIZATION: Final = b"authorization"
SCHEME: Final = b"Bearer"
USUAL: Final = SCHEME + b" %s"  # A token in another spelling takes no other place in the memory.
MAX_CACHED_TOKENS: Final = 10_000
MAX_CACHED_LENGTH: Final = 2048  # Longer ones are verified each time, so that the cache takes at most 20 MB.
NO_CLIENTS: Final = frozenset[str]()
CONNECTION: Final = "users_api.connection"
"""The key in the request's state of what belongs to its connection."""


class InsufficientScope(Exception):  # noqa: N818 -- exceptions are named for what happened.
    """The token is valid and lacks a scope that the operation requires."""

    status_code = HTTPStatus.FORBIDDEN  # Connexion compares it if several schemes fail.

    def __init__(self, scopes: Iterable[str]) -> None:
        """Store the scopes that the operation requires."""
        self.scopes = sorted(scopes)
        super().__init__(f"The operation requires {' '.join(self.scopes)}")


class Issuer(Protocol):
    """The issuer of the tokens."""

    @property
    def keys(self) -> PublicKeys:
        """The keys that it signs with."""

    async def refresh_for(self, kid: str | None) -> bool:
        """Return whether the issuer has a key with this id, fetching its keys again if necessary."""


class Verified(NamedTuple):
    """A token that has been verified."""

    token: AccessToken
    claims: Mapping[str, Any]
    """What the handlers get as `token_info`."""


class BearerTokens:
    """Verifies access tokens, and remembers those that are valid until they expire."""

    def __init__(
        self,
        verifier: TokenVerifier,
        issuer: Issuer,
        *,
        revoked_clients: Callable[[], Container[str]] = lambda: NO_CLIENTS,
        clock: Callable[[], float] = time,
    ) -> None:
        """Accept the tokens of an issuer, except those of its revoked clients; the clock is Unix time."""
        self._verifier, self._issuer, self._clock = verifier, issuer, clock
        self._revoked_clients = revoked_clients
        self._verified = dict[bytes, Verified]()
        self._keys = issuer.keys

    def get_fn(self, _scheme: Mapping[str, Any], required_scopes: Sequence[str]) -> Callable[[Any], Any]:
        """Return a function that returns a request's claims, or Connexion's NO_VALUE if there is no token.

        The function returns an awaitable instead while the issuer's keys have to be fetched. It raises
        InvalidToken and InsufficientScope.
        """
        required = frozenset(required_scopes)

        def check(request: Any) -> Any:
            found = self.find(request.scope)
            if isinstance(found, Verified):
                return permit(found)
            return NO_VALUE if found is None else permit_later(found)

        def permit(found: Verified) -> Mapping[str, Any]:
            if required <= found.token.scopes:
                return found.claims
            raise InsufficientScope(required)

        async def permit_later(found: Awaitable[Verified]) -> Mapping[str, Any]:
            return permit(await found)

        return check

    def find(self, scope: Scope) -> Verified | Awaitable[Verified] | None:
        """Return the verified token of a request, or None without one.

        A server may keep a dictionary for each connection in the request's state, under CONNECTION. The token
        that a connection sent last is also remembered there, because comparing it is faster than hashing it.

        Raises:
            InvalidToken: it is not valid, or there are several.
        """
        credentials = None
        for name, value in scope["headers"]:
            if name == AUTHORIZATION:
                if credentials is not None:
                    message = "the request has several Authorization headers"
                    raise InvalidToken(message)
                credentials = value
        if credentials is None:
            return None
        connection = scope["state"].get(CONNECTION) if "state" in scope else None
        verified = self._recall(credentials, connection)
        if verified is None or verified.token.expires_at <= self._clock():
            return self._read(credentials)
        if verified.token.client_id in self._revoked_clients():
            raise _revoked(verified.token)
        return verified

    def _recall(self, credentials: bytes, connection: dict[Any, Any] | None) -> Verified | None:
        """Return the token if it was verified with the current keys."""
        keys = self._issuer.keys
        # The time that comparing takes says nothing to a client: the token is its own. Behind a proxy that
        # shares connections, one would have to guess 16 bytes at once, and a signature has 64 random ones.
        if connection and (sent := connection.get(self)) and sent[0] == credentials and sent[1] is keys:
            remembered: Verified = sent[2]
            return remembered
        if keys is not self._keys:
            self._keys = keys
            self._verified.clear()
        verified = self._verified.get(hashlib.sha256(credentials).digest())
        if verified and connection is not None:
            connection[self] = credentials, keys, verified
        return verified

    def _read(self, credentials: bytes) -> Verified | Awaitable[Verified] | None:
        """Verify the token of credentials that are not remembered; it is remembered in the usual spelling."""
        scheme, _, text = credentials.partition(b" ")
        if scheme.lower() != SCHEME.lower():
            return None
        text = text.strip(b" \t")  # RFC 9110, 5.5
        if credentials != USUAL % text:
            return self.find({"headers": [(AUTHORIZATION, USUAL % text)]})
        try:
            return self._verify(text)
        except UnknownKey as error:
            return self._verify_later(text, error.kid)

    async def _verify_later(self, text: bytes, kid: str | None) -> Verified:
        await self._issuer.refresh_for(kid)
        return self._verify(text)

    def _verify(self, text: bytes) -> Verified:
        """Verify the token with the present keys, and remember it."""
        token = self._verifier.verify(text.decode("latin-1"), self._issuer.keys, self._clock())
        if token.client_id in self._revoked_clients():
            raise _revoked(token)
        verified = Verified(
            token, {"sub": token.subject, "client_id": token.client_id, "scope": token.scopes}
        )
        if len(text) <= MAX_CACHED_LENGTH:
            if len(self._verified) >= MAX_CACHED_TOKENS:
                for oldest in list(islice(self._verified, MAX_CACHED_TOKENS // 10)):
                    del self._verified[oldest]
            self._verified[hashlib.sha256(USUAL % text).digest()] = verified
        return verified


def _revoked(token: AccessToken) -> InvalidToken:
    return InvalidToken(f"the client {token.client_id} is revoked")


def challenge(realm: str, error: Exception | None) -> str:
    """Return the value of WWW-Authenticate for a failure (RFC 6750, 3); no error without credentials."""
    parameters = [f'realm="{realm}"']
    if isinstance(error, InsufficientScope):
        parameters += ['error="insufficient_scope"', f'scope="{" ".join(error.scopes)}"']
    elif isinstance(error, InvalidToken):
        parameters.append('error="invalid_token"')
    return "Bearer " + ", ".join(parameters)
