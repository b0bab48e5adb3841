"""The clients whose tokens no longer count; each worker asks for them every few seconds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

POLL_SECONDS: Final = 3.0
READ_SECONDS: Final = 2.0
RETRY_SECONDS: Final = 1.0


class RevocationsUnknown(Exception):  # noqa: N818 -- exceptions here are named for what happened.
    """The revoked clients have not been read since the worker started, so no token can be accepted."""


class Revocations:
    """Knows the revoked clients; if they cannot be read again, the ones read last still count.

    A token must stop working 10 s after its client is revoked: a pause, a read that fails after its time
    limit, a shorter pause and a read take 8 s.
    """

    def __init__(
        self, read: Callable[[], Awaitable[frozenset[str]]], on_failure: Callable[[Exception], object]
    ) -> None:
        """Store the function that reads the ids of the revoked clients."""
        self._clients: frozenset[str] | None = None
        self._read, self._on_failure = read, on_failure

    def clients(self) -> frozenset[str]:
        """Return the ids of the revoked clients.

        Raises:
            RevocationsUnknown: they could not be read yet.
        """
        if self._clients is None:
            raise RevocationsUnknown
        return self._clients

    async def refresh(self) -> bool:
        """Read the revoked clients; return whether that succeeded."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                self._clients = await self._read()
        except Exception as error:  # noqa: BLE001 -- those read last stay revoked, whatever the failure.
            self._on_failure(error)
            return False
        return True

    async def watch(self) -> None:
        """Read the revoked clients every few seconds; cancel it to stop."""
        succeeded = self._clients is not None
        while True:
            await asyncio.sleep(POLL_SECONDS if succeeded else RETRY_SECONDS)
            succeeded = await self.refresh()
