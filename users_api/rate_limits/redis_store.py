"""Rate limits that several instances share through Redis, whose outages let requests pass."""

import logging
from asyncio import Semaphore, timeout
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from limits import RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig

from users_api.rate_limits.circuit_breaker import PAUSE_SECONDS, CircuitBreaker
from users_api.rate_limits.limits import UNCOUNTED, Decision

TIMEOUT_SECONDS: Final = 0.5
MAX_CONNECTIONS: Final = 16
PROBE_NAME: Final = "check"
"""The name under which no limiter counts."""

logger = logging.getLogger(__name__)


def redis_url(text: str) -> str:
    """Return the URL of a Redis server unchanged.

    Raises:
        ValueError: the text is wrong; the message continues after the name of a setting, and without the
            text, which may contain a password.
    """
    try:
        url = urlsplit(text)
        is_valid = url.scheme in {"redis", "rediss"} and url.hostname and f"0{url.path.strip('/')}".isdigit()
        _connection_pool(text).make_connection()  # type: ignore[no-untyped-call]  # redis has no type for it
    except (RedisError, TypeError, ValueError):
        is_valid = False
    if not is_valid:
        message = "must be a URL like redis://:PASSWORD@HOST:6379/0, or rediss:// for TLS"
        raise ValueError(message)
    return text


class RedisStore:
    """One server for all limiters of a process, and what is known about its outage."""

    def __init__(
        self, url: str, clock: Callable[[], float] = monotonic, *, seconds: float = TIMEOUT_SECONDS
    ) -> None:
        """Connect on first use; the clock is that of the pauses, and `seconds` is the limit of each wait."""
        self._pool, self._seconds = _connection_pool(url, seconds), seconds
        self.storage: Final = RedisStorage(
            "async+redis://",
            implementation="redispy",
            connection_pool=self._pool,  # type: ignore[arg-type]
        )
        self.clock, self._breaker, self._next_report = clock, CircuitBreaker(clock), 0.0
        self.slots: Final = Semaphore(MAX_CONNECTIONS)
        """A request waits for one outside of the time limit, so that a burst is not taken for an outage."""

    async def attempt(self, decide: Callable[[], Awaitable[Decision]]) -> Decision:
        """Return the decision, or after the limit of a wait or any failure that the request passes.

        A server that does not answer is asked again after a second, so that only one request per second waits
        for it. One that answers with an error delays no request.
        """
        if not self._breaker.allows_attempt():
            return UNCOUNTED
        try:
            async with timeout(self._seconds):
                decision = await decide()
        except (ResponseError, ValueError) as error:  # `limits` reads a count that is no number.
            self._breaker.succeed()
            self._report(error)
            return UNCOUNTED
        except Exception as error:  # noqa: BLE001 -- whatever fails, the request passes.
            self._breaker.fail()
            self._report(error)
            return UNCOUNTED
        self._breaker.succeed()
        return decision

    async def probe(self) -> str:
        """Count once, apart from the requests; return the name of the server and its version.

        Raises:
            RedisError, TimeoutError: the server is unavailable, or does not let its user count.
        """
        async with timeout(self._seconds):
            await SlidingWindowCounterRateLimiter(self.storage).hit(RateLimitItemPerSecond(1), PROBE_NAME)
            client = Redis(connection_pool=self._pool)
            try:
                server = await client.info("server")
            except ResponseError:  # Counting needs no permission for INFO.
                return "Redis"
        return f"Redis {server.get('redis_version', '')}".rstrip()

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.disconnect()

    def _report(self, error: Exception) -> None:
        """Log the reason in one line, at most once a second; Redis may quote the password in its message."""
        if self.clock() >= self._next_report:
            self._next_report = self.clock() + PAUSE_SECONDS
            reason = " ".join(str(error).split()) or "no response in time"
            password = self._pool.connection_kwargs.get("password")
            logger.error(
                "Redis failed, requests pass without rate limits: %s",
                reason.replace(password, "***") if password else reason,
            )


def _connection_pool(url: str, seconds: float = TIMEOUT_SECONDS) -> BlockingConnectionPool:
    return BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=seconds,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
