"""Puts the parts of `rate_limits` together: which requests are counted, by which limit, and for whom."""

from collections.abc import Coroutine
from http import HTTPStatus
from typing import Final

from starlette.types import Scope

from users_api.access.bearer import BearerTokens, Verified
from users_api.access.tokens import InvalidToken
from users_api.config import Config
from users_api.engine import Response
from users_api.engine.pages import path_below_root
from users_api.envelope import failure
from users_api.rate_limits.addresses import address_key
from users_api.rate_limits.limiter import RateLimiter, rate_limiter
from users_api.rate_limits.limits import Decision, RateLimits
from users_api.rate_limits.redis_on_demand import redis_store

TOO_MANY_REQUESTS_MESSAGE: Final = "Too many requests."
TOKEN_RATE_LIMIT: Final = "30/minute"  # noqa: S105 -- the default limit of the token endpoint.


class Limiting:
    """The rate limits of a service: for all paths but the probes, and another one for the token endpoint."""

    def __init__(
        self,
        settings: type[Config],
        *,
        tokens: BearerTokens | None,
        token_paths: tuple[str, ...],
        probes: frozenset[str],
    ) -> None:
        """Count by the client of the token, or else by the address."""
        store = redis_store(settings.RATE_LIMIT_STORE) if settings.RATE_LIMIT_STORE else None
        limits, token_limits = settings.RATE_LIMIT, settings.TOKEN_RATE_LIMIT
        self.store, self._tokens, self._token_paths, self._probes = store, tokens, token_paths, probes
        self._general = rate_limiter("api", limits, store) if limits else None
        self._of_tokens = rate_limiter("tokens", token_limits or RateLimits.parse(TOKEN_RATE_LIMIT), store)

    @property
    def path_suffixes(self) -> tuple[str, ...]:
        """Suffixes of the paths that may be limited."""
        return self._token_paths if self._general is None else ("",)

    def limiter(self, scope: Scope) -> RateLimiter | None:
        """Return what counts the request, or None; paths are compared as the router compares them."""
        if self._asks_for_token(scope):
            return self._of_tokens
        general = self._general
        return None if general is None or path_below_root(scope) in self._probes else general

    async def identify(self, scope: Scope) -> str:
        """Return the client of a valid token, or else the address.

        No request is counted for a client that did not send it. The keys of an issuer are not waited for.
        """
        if self._tokens and not self._asks_for_token(scope):
            try:
                found = self._tokens.find(scope, dict(scope["headers"]))
            except InvalidToken:
                found = None
            if isinstance(found, Verified):
                return f"client:{found.client_id}"
            if isinstance(found, Coroutine):
                found.close()
        return f"address:{address_key(scope)}"

    def _asks_for_token(self, scope: Scope) -> bool:
        may_ask: bool = scope["path"].endswith(self._token_paths)  # This is fast; what follows is exact.
        return may_ask and scope["method"] == "POST" and path_below_root(scope) in self._token_paths

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self.store:
            await self.store.close()


def too_many_requests(_scope: Scope, _decision: Decision) -> Response:
    """Return 429 in the envelope."""
    return failure(HTTPStatus.TOO_MANY_REQUESTS, TOO_MANY_REQUESTS_MESSAGE)
