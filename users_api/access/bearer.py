"""Bearer tokens (RFC 6750): finds the access token of a request and checks its scopes.

`BearerTokens` is a security handler with the interface of Connexion's: `get_fn` returns the function that
checks the requests of an operation.
"""

import hashlib
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice
from time import time
from typing import Any, Final, NoReturn, Protocol, final

from connexion.security import NO_VALUE
from starlette.types import Scope

from users_api.access.keys import PublicKeys
from users_api.access.tokens import InvalidToken, TokenVerifier, UnknownKey

AUTHORIZATION: Final = b"authorization"
SCHEME: Final = b"Bearer"
CANONICAL: Final = SCHEME + b" %s"  # So that a token in several spellings is cached once.
MAX_CACHED_TOKENS: Final = 10_000
MAX_CACHED_LENGTH: Final = 2048  # Longer ones are verified each time, so that the cache takes at most 20 MB.
CONNECTION: Final = "users_api.connection"
"""Key in `scope["state"]` of a dictionary that lives as long as the connection."""


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


class RevokedClients(Protocol):
    """The clients whose tokens are no longer accepted."""

    @property
    def clients(self) -> Container[str]:
        """Their ids; the collection may be replaced at any time."""


class NoRevocations:
    """Tokens are accepted until they expire."""

    clients: Container[str] = frozenset()


@final
@dataclass(frozen=True, slots=True)
class Verified:
    """A token that has been verified."""

    client_id: str
    scopes: frozenset[str]
    expires_at: float
    """In seconds since 1970."""
    claims: Mapping[str, Any]
    """What the handlers get as `token_info`."""


class BearerTokens:
    """Verifies access tokens, and remembers those that are valid until they expire."""

    def __init__(
        self,
        verifier: TokenVerifier,
        issuer: Issuer,
        *,
        revocations: RevokedClients = NoRevocations(),  # noqa: B008 -- it has no state.
        clock: Callable[[], float] = time,
    ) -> None:
        """Accept the tokens of an issuer, except those of its revoked clients; the clock is Unix time."""
        self._verifier, self._issuer, self._clock = verifier, issuer, clock
        self._revocations = revocations
        self._verified = dict[bytes, Verified]()
        self._keys = issuer.keys

    def get_fn(self, _scheme: Mapping[str, Any], required_scopes: Sequence[str]) -> "TokenCheck":
        """Return the function that checks the requests of an operation."""
        return TokenCheck(self.find, required_scopes)

    def find(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Verified | Awaitable[Verified] | None:
        """Return the verified token of a request, or None without one.

        `headers` are those of the scope by name.

        A server may provide a dictionary for each connection in `scope["state"]`, under CONNECTION. The last
        token of the connection is cached there, because comparing it is faster than hashing it.

        Raises:
            InvalidToken: it is not valid, or there are several.
        """
        credentials = headers.get(AUTHORIZATION)
        if credentials is None:
            return None
        if len(headers) < len(scope["headers"]):
            _check_single(scope["headers"])
        verified: Verified | None
        try:
            sent, keys, verified = scope["state"][CONNECTION][self]
        except KeyError:
            sent = keys = verified = None
        # `compare_digest` takes 280 ns, `!=` 16. Clients share a connection only behind a proxy; there, a
        # timing attack would have to guess about 16 random characters at a time.
        if sent != credentials or keys is not self._issuer.keys:
            verified = self._from_cache(credentials, scope)
        if verified is None or verified.expires_at <= self._clock():
            return self._read(credentials)
        if verified.client_id in self._revocations.clients:
            raise _revoked(verified.client_id)
        return verified

    def _from_cache(self, credentials: bytes, scope: Scope) -> Verified | None:
        """Return the token if it was verified with the current keys, and cache it for the connection."""
        keys = self._issuer.keys
        if keys is not self._keys:
            self._keys = keys
            self._verified.clear()
        verified = self._verified.get(hashlib.sha256(credentials).digest())
        if verified and (connection := scope.get("state", {}).get(CONNECTION)) is not None:
            connection[self] = credentials, keys, verified
        return verified

    def _read(self, credentials: bytes) -> Verified | Awaitable[Verified] | None:
        """Verify the token of credentials that are not remembered; it is cached in its canonical spelling."""
        scheme, _, text = credentials.partition(b" ")
        if scheme.lower() != SCHEME.lower():
            return None
        text = text.strip(b" \t")  # RFC 9110, 5.5
        if credentials != CANONICAL % text:
            canonical = {AUTHORIZATION: CANONICAL % text}
            return self.find({"headers": list(canonical.items())}, canonical)
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
        if token.client_id in self._revocations.clients:
            raise _revoked(token.client_id)
        claims = {"sub": token.subject, "client_id": token.client_id, "scope": token.scopes}
        verified = Verified(token.client_id, token.scopes, token.expires_at, claims)
        if len(text) <= MAX_CACHED_LENGTH:
            if len(self._verified) >= MAX_CACHED_TOKENS:
                for oldest in list(islice(self._verified, MAX_CACHED_TOKENS // 10)):
                    del self._verified[oldest]
            self._verified[hashlib.sha256(CANONICAL % text).digest()] = verified
        return verified


class TokenCheck:
    """Checks that the requests of an operation carry a token with the scopes that it requires."""

    def __init__(
        self,
        find: Callable[[Scope, Mapping[bytes, bytes]], Verified | Awaitable[Verified] | None],
        required_scopes: Iterable[str],
    ) -> None:
        """Check the tokens that a function finds."""
        self._find, self._required = find, frozenset(required_scopes)

    def __call__(self, request: Any) -> Any:
        """Return what `check_asgi_scope` returns for the request's scope."""
        return self.check_asgi_scope(request.scope, dict(request.scope["headers"]))

    def check_asgi_scope(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Any:
        """Return the claims of a request's token, or Connexion's NO_VALUE if there is none.

        An awaitable of them is returned instead while the issuer's keys have to be fetched.

        Raises:
            InvalidToken: the token is not valid.
            InsufficientScope: it lacks a scope.
        """
        found = self._find(scope, headers)
        if type(found) is Verified:
            return found.claims if self._required <= found.scopes else self._reject()
        return NO_VALUE if found is None else self._check_later(found)

    async def _check_later(self, found: Awaitable[Verified]) -> Mapping[str, Any]:
        verified = await found
        return verified.claims if self._required <= verified.scopes else self._reject()

    def _reject(self) -> NoReturn:
        raise InsufficientScope(self._required)


def _check_single(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raise InvalidToken if there are several Authorization headers."""
    if sum(name == AUTHORIZATION for name, _ in headers) > 1:
        message = "the request has several Authorization headers"
        raise InvalidToken(message)


def _revoked(client_id: str) -> InvalidToken:
    return InvalidToken(f"the client {client_id} is revoked")


def challenge(realm: str, error: Exception | None) -> str:
    """Return the value of WWW-Authenticate for a failure (RFC 6750, 3); no error without credentials."""
    parameters = [f'realm="{realm}"']
    if isinstance(error, InsufficientScope):
        parameters += ['error="insufficient_scope"', f'scope="{" ".join(error.scopes)}"']
    elif isinstance(error, InvalidToken):
        parameters.append('error="invalid_token"')
    return "Bearer " + ", ".join(parameters)
