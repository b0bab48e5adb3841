"""gunicorn's worker: uvicorn on uvloop, with this package's protocol and load balancing."""

import asyncio
import logging
import re
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

from uvicorn import Config, Server
from uvicorn_worker import UvicornWorker

from users_api.server.balance import Acceptor, WorkerLoad

ACCESS_LOGGER: Final = "uvicorn.access"
UNSAFE: Final = re.compile(r"[^!#-\[\]-~]")  # All but visible ASCII characters, and what delimits the fields.


def escape_fields(record: logging.LogRecord) -> bool:
    """Escape what could end a field or a line of the access log, or control a terminal; a logging filter.

    The client's address is any text that a trusted proxy passes on in X-Forwarded-For.
    """
    record.args = tuple(
        UNSAFE.sub(_escape, field) if isinstance(field, str) else field for field in record.args or ()
    )
    return True


def _escape(character: re.Match[str]) -> str:
    return f"\\x{ord(character[0]):02x}"


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

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Accept the arguments of the base class, which connects uvicorn's loggers with gunicorn's."""
        super().__init__(*arguments, **options)
        logging.getLogger(ACCESS_LOGGER).addFilter(escape_fields)

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
