"""Issues access tokens (RFC 9068) that the service's own keys sign."""

import secrets
from collections.abc import Callable, Iterable
from time import time
from typing import Final

from users_api.access.keys import PublicKeys, SigningKeys

TOKEN_SECONDS: Final = 15 * 60
TOKEN_ID_BYTES: Final = 16
TYPE: Final = "at+jwt"


class TokenSigner:
    """Issues tokens, and verifies them as an issuer whose keys are always known."""

    def __init__(
        self, keys: SigningKeys, *, issuer: str, audience: str, clock: Callable[[], float] = time
    ) -> None:
        """Sign with the first key; the clock is Unix time."""
        self._signing_keys, self._issuer, self._audience, self._clock = keys, issuer, audience, clock
        self.keys: PublicKeys = keys.public
        self.documents = keys.public_documents()
        """The public keys as JSON Web Keys."""

    def issue(self, client_id: str, scopes: Iterable[str]) -> str:
        """Return a token with which the client has these scopes for `TOKEN_SECONDS`."""
        now = int(self._clock())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": client_id,  # Without a resource owner, the subject is the client (RFC 9068, 2.2).
            "client_id": client_id,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + TOKEN_SECONDS,
            "jti": secrets.token_urlsafe(TOKEN_ID_BYTES),
        }
        return self._signing_keys.sign({"typ": TYPE}, claims)

    async def refresh_for(self, kid: str | None) -> bool:
        """Return whether there is a key with this id; no others will be found."""
        return bool(self.keys.find(kid))
