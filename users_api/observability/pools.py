"""The state of a pool of database connections."""

from typing import Any, Protocol

from users_api.observability.instruments import POOL_CONNECTIONS, POOL_LIMIT, POOL_WAITING
from users_api.observability.recorder import Recorder


class Engine(Protocol):
    """What has a pool, which may be replaced by another one."""

    pool: Any


class PoolState:
    """Reads the pool that an engine has at the moment."""

    def __init__(self, engine: Engine) -> None:
        """Read the pools of this engine."""
        self._engine = engine

    def used(self) -> int:
        """Return how many connections are in use."""
        return int(self._engine.pool.checkedout())

    def idle(self) -> int:
        """Return how many connections are open and not in use."""
        return int(self._engine.pool.checkedin())

    def limit(self) -> int:
        """Return how many connections may be open."""
        return int(self._engine.pool.size())

    def waiting(self) -> int:
        """Return how many statements wait for a connection."""
        return int(self._engine.pool.waiting)


def add_pool_gauges(recorder: Recorder, engine: Engine) -> None:
    """Measure the state of the engine's pool; an in-memory database has none that is limited."""
    if hasattr(engine.pool, "waiting"):
        state = PoolState(engine)
        recorder.add_gauge(POOL_CONNECTIONS, state.used, "used")
        recorder.add_gauge(POOL_CONNECTIONS, state.idle, "idle")
        recorder.add_gauge(POOL_LIMIT, state.limit)
        recorder.add_gauge(POOL_WAITING, state.waiting)
