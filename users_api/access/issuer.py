"""Keeps the keys of an external issuer of access tokens: requests read them without waiting."""

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import httpx

from users_api.access.discovery import fetch_keys
from users_api.access.documents import IssuerUnavailable, create_client
from users_api.access.keys import PublicKeys

__all__ = ["Issuer", "IssuerUnavailable"]

COOLDOWN_SECONDS: Final = 10
FIRST_RETRY_SECONDS: Final = 1
LONGEST_RETRY_SECONDS: Final = 60
# Keys are refreshed at a random share of their max-age, so that workers do not refresh together.
EARLIEST_REFRESH: Final = 0.75
LATEST_REFRESH: Final = 0.85

logger = logging.getLogger(__name__)


class Issuer:
    """The keys of an issuer, which one background task refreshes before they expire.

    They stay valid while the issuer is unreachable, and until a refresh replaces them. `start()` creates the
    task and the HTTP client, so that workers may be forked before it.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without keys; the URL is one that `parse_issuer` accepts."""
        self.url, self.keys = url, PublicKeys([])
        self._clock = clock
        self._cooldown_end = -math.inf
        self._reason = ""  # Why the last fetch failed, or empty.
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._refreshing: asyncio.Task[None] | None = None
        self._is_wanted, self._is_settled = asyncio.Event(), asyncio.Event()
        self._is_settled.set()  # No fetch is running or about to.

    async def start(self) -> None:
        """Start to fetch the keys in the background, whether or not the issuer can be reached."""
        self._is_settled.clear()
        self._refreshing = asyncio.create_task(self._refresh_repeatedly(create_client()))
        self._refreshing.add_done_callback(lambda _: self._is_settled.set())

    async def stop(self) -> None:
        """Stop fetching; the keys remain."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait([self._refreshing])

    async def refresh_for(self, kid: str | None) -> bool:
        """Return whether the issuer has a key with this id; if not, after a fetch, which takes at most 5 s.

        Any number of unknown ids causes one fetch within 10 s; until then, further ones are refused at once.

        Raises:
            IssuerUnavailable: no fetch has succeeded yet.
        """
        if not self.keys.find(kid):
            await self._wait_for_fetch()
        if not len(self.keys):
            raise IssuerUnavailable(self._reason or "no fetch has ended yet")
        return bool(self.keys.find(kid))

    async def _wait_for_fetch(self) -> None:
        """Wait for the running fetch, or else for a new one if the last one for an unknown id is long ago."""
        now = self._clock()
        is_running = self._refreshing is not None and not self._refreshing.done()
        if is_running and self._is_settled.is_set() and now >= self._cooldown_end:
            self._cooldown_end = now + COOLDOWN_SECONDS
            self._is_settled.clear()
            self._is_wanted.set()
        await self._is_settled.wait()

    async def _refresh_repeatedly(self, client: httpx.AsyncClient) -> None:
        async with client:
            while True:
                pause = await self._refresh(client)
                self._is_settled.set()
                self._is_wanted.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._is_wanted.wait()
                self._is_settled.clear()

    async def _refresh(self, client: httpx.AsyncClient) -> float:
        """Replace the keys; return the seconds until the next refresh."""
        try:
            self.keys, max_age = await fetch_keys(client, self.url)
        except IssuerUnavailable as error:
            return self._register_failure(str(error))
        if self._reason:
            logger.warning("The keys of %s were fetched again", self.url)
        self._reason, self._retry_seconds = "", FIRST_RETRY_SECONDS
        return max_age * random.uniform(EARLIEST_REFRESH, LATEST_REFRESH)  # noqa: S311 -- it is no secret.

    def _register_failure(self, reason: str) -> float:
        """Log the reason; return the seconds until the next attempt."""
        known = len(self.keys)
        logger.warning("The keys of %s could not be fetched, %d stay valid: %s", self.url, known, reason)
        pause = self._retry_seconds
        self._reason, self._retry_seconds = reason, min(2 * pause, LONGEST_RETRY_SECONDS)
        return pause
