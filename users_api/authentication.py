"""Puts the parts of `access` together: who issues tokens, what verifies them, which clients are revoked."""

import os
import secrets
from asyncio import create_task
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import Engine

from users_api.access.basic import BasicCredentials
from users_api.access.bearer import BearerTokens
from users_api.access.issuer import Issuer
from users_api.access.keys import SigningKeys, generate_key
from users_api.access.revocations import READ_SECONDS, Revocations
from users_api.access.signing import TokenSigner
from users_api.access.tokens import TokenVerifier
from users_api.clients import revoked_client_ids
from users_api.config import Config, SettingsError
from users_api.database import run_in_greenlet
from users_api.errors import revocations_unavailable

OWN_ISSUER: Final = "users-api"
"""The issuer of the service's own tokens, and their audience unless AUTH_AUDIENCE names another."""
KEY_FILE: Final = "token_keys"


class Authentication(Protocol):
    """How requests are authenticated."""

    tokens: BearerTokens
    signer: TokenSigner | None
    security_map: Mapping[str, Any]
    """The handlers of the document's security schemes, by type."""

    def running(self, connect: Callable[[], Engine]) -> Any:
        """Return an asynchronous context in which the handlers get what they need in the background.

        `connect` returns an engine of its own, which does not wait for the connections of requests.
        """


class OwnTokens:
    """The service issues the tokens to its own clients."""

    signer: TokenSigner | None

    def __init__(self, settings: type[Config], instance: Path) -> None:
        """Sign with TOKEN_KEYS, or outside of production with a key in the instance folder."""
        audience = settings.AUTH_AUDIENCE or OWN_ISSUER
        self.signer = signer = TokenSigner(
            settings.TOKEN_KEYS or _read_or_create_keys(instance / KEY_FILE),
            issuer=OWN_ISSUER,
            audience=audience,
        )
        self._revocations = Revocations(self._read_revoked, revocations_unavailable)
        self.tokens = BearerTokens(
            TokenVerifier(OWN_ISSUER, audience),
            signer,
            revocations=self._revocations,
        )
        self.security_map: Mapping[str, Any] = {"oauth2": lambda: self.tokens, "basic": BasicCredentials}

    @asynccontextmanager
    async def running(self, connect: Callable[[], Engine]) -> AsyncIterator[None]:
        """Watch for revoked clients; those revoked earlier are known before the first request."""
        self._engine = connect()
        await self._revocations.refresh()
        watching = create_task(self._revocations.watch())
        try:
            yield
        finally:
            watching.cancel()
            self._engine.dispose()

    async def _read_revoked(self) -> frozenset[str]:
        return await run_in_greenlet(partial(revoked_client_ids, self._engine), seconds=READ_SECONDS)


class ExternalIssuerTokens:
    """An external issuer issues the tokens."""

    signer: TokenSigner | None = None

    def __init__(self, issuer: str, audience: str) -> None:
        """Accept the issuer's tokens for the audience."""
        self._issuer = Issuer(issuer)
        self.tokens = BearerTokens(TokenVerifier(issuer, audience), self._issuer)
        self.security_map: Mapping[str, Any] = {"openIdConnect": lambda: self.tokens}

    @asynccontextmanager
    async def running(self, _connect: Callable[[], Engine]) -> AsyncIterator[None]:
        """Keep the issuer's keys up to date."""
        await self._issuer.start()
        try:
            yield
        finally:
            await self._issuer.stop()


def create_authentication(settings: type[Config], instance: Path) -> Authentication | None:
    """Return how requests are authenticated, None with AUTH=none.

    Raises:
        SettingsError: there is no key, and none can be created in the instance folder.
    """
    if not settings.AUTH:
        return None
    if issuer := settings.AUTH_ISSUER:
        return ExternalIssuerTokens(issuer, settings.AUTH_AUDIENCE)
    return OwnTokens(settings, instance)


def _read_or_create_keys(path: Path) -> SigningKeys:
    """Return the keys in the file; several processes that create it at once get the same one."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _create(path, generate_key())
        return SigningKeys.parse(path.read_text().strip())
    except (OSError, ValueError) as error:
        message = f"Set TOKEN_KEYS, because {path} cannot be used: {error}"
        raise SettingsError(message) from None


def _create(path: Path, text: str) -> None:
    """Create a file that only its owner can read, complete from the first moment; keep one that exists."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{text}\n")
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
