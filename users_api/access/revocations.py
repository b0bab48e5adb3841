"""The clients whose tokens are no longer accepted; each worker asks for them every few seconds."""

import asyncio
from collections.abc import Awaitable, Callable, Container
from typing import Final

POLL_SECONDS: Final = 3.0
READ_SECONDS: Final = 2.0
RETRY_SECONDS: Final = 1.0


class RevocationsUnknown(Exception):  # noqa: N818 -- exceptions here are named for what happened.
    """The revoked clients have not been read since the worker started, so no token can be accepted."""


class _NotYetRead(Container[str]):
    """The revoked clients before they have been read."""

    def __contains__(self, _client: object) -> bool:
        raise RevocationsUnknown


class Revocations:
    """Knows the revoked clients; if they cannot be read again, the ones read last still count.

    A token must stop working 10 s after its client is revoked: a pause, a read that fails after its time
    limit, a shorter pause and a read take 8 s.
    """

    def __init__(
        self, read: Callable[[], Awaitable[frozenset[str]]], on_failure: Callable[[Exception], object]
    ) -> None:
        """Store the function that reads the ids of the revoked clients."""
        self.clients: Container[str] = _NotYetRead()
        """Ids of the revoked clients; `in` raises RevocationsUnknown before the first successful read."""
        self._read, self._on_failure = read, on_failure

    async def refresh(self) -> bool:
        """Read the revoked clients; return whether that succeeded."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                self.clients = await self._read()
        except Exception as error:  # noqa: BLE001 -- those read last stay revoked, whatever the failure.
            self._on_failure(error)
            return False
        return True

    async def watch(self) -> None:
        """Read the revoked clients every few seconds; cancel it to stop."""
        succeeded = not isinstance(self.clients, _NotYetRead)
        while True:
            await asyncio.sleep(POLL_SECONDS if succeeded else RETRY_SECONDS)
            succeeded = await self.refresh()
