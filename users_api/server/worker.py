"""gunicorn's worker: uvicorn on uvloop, with this package's protocol and load balancing."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from uvicorn import Config, Server
from uvicorn_worker import UvicornWorker

from users_api.server.balance import Acceptor, WorkerLoad


class BalancedServer(Server):
    """uvicorn's server with an `Acceptor` instead of asyncio's own server."""

    def __init__(self, config: Config, load: WorkerLoad, slot: int) -> None:
        """Serve as the worker that has claimed the slot."""
        super().__init__(config)
        self._load, self._slot = load, slot

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then accept connections."""
        await super().startup(sockets=[])
        acceptor = Acceptor(sockets or [], self._load, self._slot, self._make_protocol)
        self.server_state.connections = acceptor.connections
        self.servers = [acceptor]  # type: ignore[list-item]  # uvicorn calls only `close` and `wait_closed`.

    def _make_protocol(self) -> asyncio.Protocol:
        """Return the protocol of a new connection; during shutdown it closes after one response."""
        make: Callable[..., Any] = self.config.http_protocol_class
        protocol = make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        if self.should_exit:
            protocol.shutdown()
        return protocol  # type: ignore[no-any-return]  # of the class that the options name.


class Worker(UvicornWorker):
    """A worker that balances connections and exits cleanly; `configuration` supplies the options."""

    load: WorkerLoad
    slot: int

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        self._install_sigquit_handler()
        if self.alive:
            await BalancedServer(self.config, self.load, self.slot).serve(sockets=self.sockets)

    def init_signals(self) -> None:
        """Exit on SIGTERM: uvicorn raises the signal again after shutdown, which would kill the process."""
        super().init_signals()
        signal.signal(signal.SIGTERM, self._exit)

    def _exit(self, *_signal: object) -> None:
        """Exit, and do not start if a module that is being imported ignores the exception."""
        self.alive = False
        sys.exit()
