"""How gunicorn serves: its configuration, named `python:users_api.http.server`."""

import ctypes
import errno
import gc
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from uvicorn_worker import UvicornWorker

from users_api.config import load_settings
from users_api.http.balance import BalancedServer, Load
from users_api.http.listener import begin_no_handshake
from users_api.http.metrics import memory
from users_api.http.protocol import Protocol

GARBAGE: Final = 10_000
PR_SET_PDEATHSIG: Final = 1
settings = load_settings()


class LimitedProtocol(Protocol):
    """The protocol with the limits of the settings."""

    largest_head = settings.HEAD_LIMIT
    head_seconds = settings.HEAD_TIMEOUT
    send_seconds = settings.SEND_TIMEOUT


class Worker(UvicornWorker):
    """uvicorn on uvloop with our protocol; a failed start fails loudly, and a stop waits for what is under way."""

    CONFIG_KWARGS: dict[str, Any] = {  # noqa: RUF012 -- as the base class declares it.
        "loop": "uvloop",
        "http": LimitedProtocol,
        "lifespan": "on",
        "ws": "none",
        "server_header": False,
        "timeout_graceful_shutdown": settings.GRACEFUL_TIMEOUT,
    }

    seat: int

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        self._install_sigquit_handler()
        memory().sit(self.seat)
        await BalancedServer(self.config, load, self.seat).serve(sockets=self.sockets)

    def init_signals(self) -> None:
        """End by an exit: uvicorn, once it has stopped, raises the signal again, which would else kill the process."""
        super().init_signals()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())


def on_starting(arbiter: Any) -> None:
    """Refuse a port that is taken in one line, where gunicorn would take ten; listeners of a predecessor are not bound again."""
    for address in arbiter.cfg.address:
        if isinstance(address, tuple) and not _is_shared(arbiter) and _is_taken(*address):
            arbiter.log.error("Port %d is taken: stop what listens there, or set PORT to another one.", address[1])
            sys.exit(1)


def when_ready(arbiter: Any) -> None:
    """Let a stop, but not a reload, begin with the listeners: of its hooks gunicorn calls none before it closes them."""
    stop = arbiter.stop

    def stop_listening(graceful: bool = True) -> None:  # noqa: FBT001, FBT002 -- as gunicorn declares it.
        if not _is_shared(arbiter):
            begin_no_handshake([listener.sock for listener in arbiter.LISTENERS])
        stop(graceful)

    arbiter.stop = stop_listening


def _is_shared(arbiter: Any) -> bool:
    """Return whether the listeners are a predecessor's, a successor's, systemd's or one of several."""
    systemd = arbiter.systemd or os.environ.get("LISTEN_FDS")  # The former says so once gunicorn has taken the latter away.
    return bool(arbiter.master_pid or arbiter.reexec_pid or systemd or arbiter.cfg.reuse_port)


def _is_taken(host: str, port: int) -> bool:
    """Return whether another socket listens there; what else may be wrong with the address gunicorn tells."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def pre_fork(_arbiter: Any, worker: Worker) -> None:
    """Give the worker its seat before it is forked."""
    worker.seat = load.take()


def post_fork(_arbiter: Any, _worker: Worker) -> None:
    """Let the worker stop by itself if the master is killed: nobody would tell it, and the port would stay taken."""
    with suppress(AttributeError):  # Only Linux has it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def post_worker_init(_worker: Worker) -> None:
    """Look for garbage after as many objects as a long list has rather than several times amid one, and not among what stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)


def child_exit(_arbiter: Any, worker: Worker) -> None:
    """Free the seat of a worker that has ended."""
    load.free(worker.seat)


load = Load(settings.CLIENT_CONNECTIONS)
memory()  # Made here, before the workers are forked, so that all share it.
bind = f"0.0.0.0:{settings.PORT}"
workers = settings.WEB_CONCURRENCY
worker_class = Worker
graceful_timeout = settings.GRACEFUL_TIMEOUT + 4
timeout = 60
keepalive = settings.KEEP_ALIVE
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 -- on a disk a heartbeat may block (gunicorn's FAQ).
control_socket_disable = True
