"""Checks whether the limits of the settings fit together."""

import os
from collections.abc import Iterable, Iterator
from typing import Final

from users_api.checks.findings import Finding, ok, warning
from users_api.config import Config
from users_api.server.configuration import ServerOptions

PROXY_IDLE_SECONDS: Final = 60  # nginx and the load balancers of AWS, by default.
HEROKU_IDLE_SECONDS: Final = 90
HEROKU_STOP_SECONDS: Final = 30


def check_limits(settings: type[Config]) -> Iterable[Finding]:
    """Find each pair of limits of which one prevents the other."""
    found = [*_timeouts(settings), *_connections(settings), *_ends(settings)]
    return found or [ok("timeouts, connections and sizes fit together")]


def _timeouts(settings: type[Config]) -> Iterator[Finding]:
    statement, lock = settings.DATABASE_STATEMENT_TIMEOUT, settings.DATABASE_LOCK_TIMEOUT
    needed = settings.DATABASE_POOL_TIMEOUT + statement
    if needed > settings.REQUEST_TIMEOUT:
        yield warning(
            f"REQUEST_TIMEOUT ({settings.REQUEST_TIMEOUT:g} s) ends requests whose statements still run",
            f"Set it to at least {needed:g}: DATABASE_POOL_TIMEOUT plus DATABASE_STATEMENT_TIMEOUT.",
        )
    if statement and not 0 < lock < statement:
        yield warning(
            f"DATABASE_LOCK_TIMEOUT ({lock:g} s) never ends a wait before DATABASE_STATEMENT_TIMEOUT",
            f"Set it to less than {statement:g}, so that the log names locks as the cause.",
        )


def _connections(settings: type[Config]) -> Iterator[Finding]:
    if settings.REQUESTS_IN_FLIGHT < settings.POOL_SIZE:
        yield warning(
            f"REQUESTS_IN_FLIGHT ({settings.REQUESTS_IN_FLIGHT}) uses fewer connections than a worker has",
            f"Set it to at least {settings.POOL_SIZE}, or lower DATABASE_CONNECTIONS.",
        )
    idle = HEROKU_IDLE_SECONDS if _is_on_heroku() else PROXY_IDLE_SECONDS
    if idle >= settings.KEEP_ALIVE:
        yield warning(
            f"KEEP_ALIVE ({settings.KEEP_ALIVE} s) closes connections on which a proxy may still send",
            f"Set it to more than the idle timeout of the proxy in front, which often is {idle} s.",
        )


def _ends(settings: type[Config]) -> Iterator[Finding]:
    graceful = settings.GRACEFUL_TIMEOUT
    if graceful < settings.REQUEST_TIMEOUT:
        yield warning(
            f"GRACEFUL_TIMEOUT ({graceful} s) interrupts requests that REQUEST_TIMEOUT allows",
            f"Set it to at least {settings.REQUEST_TIMEOUT:g}.",
        )
    if _is_on_heroku() and graceful + ServerOptions.exit_seconds >= HEROKU_STOP_SECONDS:
        yield warning(
            f"GRACEFUL_TIMEOUT ({graceful} s) is longer than Heroku waits before it kills a dyno",
            f"Set it to less than {HEROKU_STOP_SECONDS - ServerOptions.exit_seconds}.",
        )


def _is_on_heroku() -> bool:
    return "DYNO" in os.environ
