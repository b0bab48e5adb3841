"""gunicorn's configuration, built from options that the service passes in."""

import asyncio
import ctypes
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from users_api.server.balance import WorkerLoad
from users_api.server.descriptors import allow_descriptors
from users_api.server.failures import Headers, Render, render_problem
from users_api.server.listener import is_port_in_use, port_in_use_message, refuse_handshakes
from users_api.server.logger import logger_class
from users_api.server.memory import MemoryBudget
from users_api.server.observer import Observer
from users_api.server.protocol import Limits, Protocol
from users_api.server.rate import ReadingRate
from users_api.server.slots import MAX_WORKERS
from users_api.server.worker import Worker

GC_THRESHOLD: Final = 10_000
PR_SET_PDEATHSIG: Final = 1
TRIM_DELAYS_SECONDS: Final = (1, 5, 15)  # Connections take a while to end.
SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 -- a tmpfs for gunicorn's heartbeat, not a file of ours.


@dataclass(frozen=True)
class ServerOptions:
    """How to serve; times are seconds.

    Raises:
        ValueError: there are more workers than slots for them.
    """

    port: int = 8000
    workers: int = 2
    max_connections: int = 4000
    """The limit of each worker; a further connection replaces the one that has waited longest."""
    keep_alive_seconds: int = 95
    other_descriptors: int = 128
    """How many files and sockets a worker may open in addition to the connections of its clients."""
    graceful_seconds: int = 20
    """How long a shutdown waits for requests in progress."""
    exit_seconds: int = 4
    """How long after that a worker may take to exit before gunicorn kills it."""
    limits: Limits = field(default_factory=Limits)
    render: Render = render_problem
    https_headers: Headers = field(default_factory=list)
    """The headers of responses to requests that arrive over HTTPS, as a trusted proxy reports."""
    observer: Observer | None = None
    """Gets a report of each request."""
    log_level: str = "info"
    log_handler: logging.Handler | None = None
    """What gunicorn, uvicorn and the application log to, instead of standard error."""
    on_worker_start: Callable[[int], None] = lambda _slot: None
    """Called in each new worker, with its slot: a number below MAX_SLOTS that no other worker has."""
    on_worker_exit: Callable[[int], None] = lambda _slot: None
    """Called in the master with the slot of a worker that has exited, for whatever reason."""

    def __post_init__(self) -> None:
        """Check the number of workers."""
        if self.workers > MAX_WORKERS:
            message = f"There are slots for {MAX_WORKERS} workers, not {self.workers}."
            raise ValueError(message)

    @property
    def descriptors(self) -> int:
        """How many open files a worker needs at most."""
        return self.max_connections + self.other_descriptors

    @property
    def protocol(self) -> Callable[..., Protocol]:
        """The protocol with these options, as uvicorn's option `http` takes it."""
        budget = MemoryBudget(self.limits.memory_bytes, return_free_memory)
        rate = ReadingRate(self.limits.large_bytes_per_second)
        return partial(
            Protocol,
            limits=self.limits,
            budget=budget,
            rate=rate,
            render=self.render,
            https_headers=self.https_headers,
            observer=self.observer,
        )


def gunicorn_settings(options: ServerOptions) -> dict[str, Any]:
    """Return gunicorn's settings by name, hooks included.

    Call it once, in the module that `gunicorn --config python:…` names: it creates the memory that the
    workers share, which must exist before they are forked and survive a reload.

    Raises:
        TooFewDescriptors: the system does not allow as many open files as `max_connections` needs.
    """
    allow_descriptors(options.descriptors)
    load = WorkerLoad(options.max_connections)
    return {
        "bind": f"0.0.0.0:{options.port}",
        "workers": options.workers,
        "worker_class": _worker_class(options, load),
        "logger_class": logger_class(options.log_handler),
        "loglevel": options.log_level,
        "worker_tmp_dir": str(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None,
        "timeout": 60,
        "graceful_timeout": options.graceful_seconds + options.exit_seconds,
        "keepalive": options.keep_alive_seconds,
        "control_socket_disable": True,
        "on_starting": exit_if_port_is_taken,
        "when_ready": refuse_handshakes_on_stop,
        "pre_fork": _claim_slot,
        "post_fork": partial(_begin_worker, options.on_worker_start),
        "post_worker_init": freeze_startup_objects,
        "child_exit": partial(_release_slot, options.on_worker_exit),
    }


def _worker_class(options: ServerOptions, load: WorkerLoad) -> type[Worker]:
    class ConfiguredWorker(Worker):
        CONFIG_KWARGS: dict[str, Any] = {  # noqa: RUF012 -- as the base class declares it.
            "loop": "uvloop",
            "http": options.protocol,
            "lifespan": "on",
            "ws": "none",
            "server_header": False,
            "timeout_graceful_shutdown": options.graceful_seconds,
        }

    ConfiguredWorker.load = load
    return ConfiguredWorker


def exit_if_port_is_taken(arbiter: Any) -> None:
    """Report a port in use in one line; gunicorn itself retries for several seconds and prints ten lines."""
    for address in arbiter.cfg.address:
        if isinstance(address, tuple) and not _shares_listeners(arbiter) and is_port_in_use(*address):
            arbiter.log.error(port_in_use_message(address[1]))
            sys.exit(1)


def refuse_handshakes_on_stop(arbiter: Any) -> None:
    """Refuse connections on graceful shutdown before gunicorn closes the listeners; it has no hook."""
    stop = arbiter.stop

    def refuse_and_stop(graceful: bool = True) -> None:  # noqa: FBT001, FBT002 -- as gunicorn declares it.
        if not _shares_listeners(arbiter):
            refuse_handshakes([listener.sock for listener in arbiter.LISTENERS])
        stop(graceful)

    arbiter.stop = refuse_and_stop


def _shares_listeners(arbiter: Any) -> bool:
    """Return whether the listeners are shared with a predecessor, a successor, systemd or other masters."""
    # gunicorn deletes the variable, and sets `arbiter.systemd` later.
    systemd = arbiter.systemd or os.environ.get("LISTEN_FDS")
    return bool(arbiter.master_pid or arbiter.reexec_pid or systemd or arbiter.cfg.reuse_port)


def _claim_slot(_arbiter: Any, worker: Worker) -> None:
    """Give a worker its slot before it is forked."""
    worker.slot = worker.load.claim()


def _begin_worker(on_start: Callable[[int], None], _arbiter: Any, worker: Worker) -> None:
    """Let the kernel stop the worker when the master is killed."""
    on_start(worker.slot)
    with suppress(AttributeError):  # Only Linux has prctl.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def freeze_startup_objects(_worker: Worker) -> None:
    """Raise the GC threshold above a large response's allocations, and exempt start-up objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


def return_free_memory() -> None:
    """Return what glibc keeps for later to the system, soon after its clients held much (malloc_trim(3))."""
    for seconds in TRIM_DELAYS_SECONDS:
        asyncio.get_running_loop().call_later(seconds, _trim)


def _trim() -> None:
    gc.collect()
    with suppress(AttributeError):  # Only glibc has malloc_trim.
        ctypes.CDLL(None).malloc_trim(0)


def _release_slot(on_exit: Callable[[int], None], _arbiter: Any, worker: Worker) -> None:
    """Free the slot of a worker that has exited."""
    on_exit(worker.slot)
    worker.load.release(worker.slot)
