"""The clients whose tokens no longer count; each worker asks for them every few seconds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

POLL_SECONDS: Final = 4.0


class Revocations:
    """Knows the revoked clients; if they cannot be read, the ones read last still count.

    A token must stop working 10 s after its client is revoked: two polls, should one of them fail.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[frozenset[str]]],
        on_failure: Callable[[Exception], object],
        seconds: float = POLL_SECONDS,
    ) -> None:
        """Store the function that reads the ids of the revoked clients."""
        self.clients = frozenset[str]()
        self._read, self._on_failure, self._seconds = read, on_failure, seconds

    async def refresh(self) -> None:
        """Read the revoked clients."""
        try:
            self.clients = await self._read()
        except Exception as error:  # noqa: BLE001 -- those read last stay revoked, whatever the failure.
            self._on_failure(error)

    async def watch(self) -> None:
        """Read the revoked clients every few seconds; cancel it to stop."""
        while True:
            await asyncio.sleep(self._seconds)
            await self.refresh()
