"""Limits that instances share through Redis, and its outages."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Any, TypeVar

import pytest
from redis import Redis as Client

from tests.rate_limits.clock import Clock
from tests.support.redis import Redis, redis
from users_api.rate_limits.limiter import RateLimiter, rate_limiter
from users_api.rate_limits.limits import UNCOUNTED, Decision, RateLimits
from users_api.rate_limits.redis_store import TIMEOUT_SECONDS, RedisStore, redis_url

Result = TypeVar("Result")
PATIENCE_SECONDS = 60
"""How long a busy machine may take, where Redis works."""
OUTAGE_SECONDS = 2
"""The same, where it does not always."""
PASSWORD = "correct-horse"  # noqa: S105 -- it is that of temporary servers.


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    """A server that all tests share whose keys differ."""
    with redis() as running:
        yield running


@pytest.fixture
def own_server() -> Iterator[Redis]:
    """A server for one test, which may break it."""
    with redis() as running:
        yield running


@pytest.fixture
def reports(caplog) -> Callable[[], list[str]]:
    """The lines that were logged about outages."""
    return lambda: [
        record.getMessage() for record in caplog.records if record.name == "users_api.rate_limits.redis_store"
    ]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that accepts connections, and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=100)) as listening:
        listening.settimeout(0)
        yield listening


def url_of(listening: socket.socket) -> str:
    """Return the URL of a server that listens there."""
    return f"redis://127.0.0.1:{listening.getsockname()[1]}"


def with_limiter(
    url: str,
    use: Callable[[RateLimiter], Awaitable[Result]],
    *,
    limit: str = "2/day",
    clock: Clock | None = None,
    seconds: float = PATIENCE_SECONDS,
) -> Result:
    """Return what a function returns that is called with a limiter on its own connections."""

    async def run() -> Result:
        store = RedisStore(url, clock or Clock(), seconds=seconds)
        try:
            return await use(rate_limiter("api", RateLimits.parse(limit), store))
        finally:
            await store.close()

    return in_thread(run())


def in_thread(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of a coroutine.

    When Python 3.11 throws an exception into a coroutine, coverage.py ceases to trace the thread's frames.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


async def hits(limiter: RateLimiter, key: str, times: int) -> list[Decision]:
    """Return the decisions about several requests."""
    return [await limiter.hit(key) for _ in range(times)]


async def hits_at_once(limiter: RateLimiter, key: str, times: int) -> list[Decision]:
    """Return the decisions about several requests that arrive at the same time."""
    return await asyncio.gather(*[limiter.hit(key) for _ in range(times)])


def test_a_limit_is_shared_by_instances(server) -> None:
    first = with_limiter(server.url, lambda limiter: hits(limiter, "shared", 1))
    second = with_limiter(server.url, lambda limiter: hits(limiter, "shared", 2))

    assert [each.allowed for each in (*first, *second)] == [True, True, False]


def test_the_fields_are_those_of_shared_memory(server) -> None:
    first, _, third = with_limiter(server.url, lambda limiter: hits(limiter, "fields", 3))

    assert first.fields == [
        (b"ratelimit-policy", b'"2-per-day";q=2;w=86400'),
        (b"ratelimit", b'"2-per-day";r=1;t=86401'),
    ]
    assert not third.allowed
    assert 86399 <= third.retry_after <= 86401
    assert third.fields[2] == (b"retry-after", b"%d" % third.retry_after)


def test_a_limit_is_exact_when_requests_arrive_at_once(server) -> None:
    decisions = with_limiter(server.url, lambda limiter: hits_at_once(limiter, "at once", 10), limit="5/day")

    assert sorted(each.allowed for each in decisions) == [False] * 5 + [True] * 5
    assert all(each.retry_after for each in decisions if not each.allowed)


def test_a_burst_is_not_taken_for_an_outage(server, reports) -> None:
    decisions = with_limiter(server.url, lambda limiter: hits_at_once(limiter, "burst", 2000), limit="5/day")

    assert sum(each.allowed for each in decisions) == 5
    assert reports() == []


def test_redis_is_not_asked_about_a_rejected_key_for_a_second(own_server) -> None:
    clock = Clock()

    async def use(limiter: RateLimiter) -> list[list[Decision]]:
        first = await hits(limiter, "client", 3)
        own_server.signal(signal.SIGSTOP)
        recalled = await hits(limiter, "client", 3)
        clock.now += 1.1
        return [first, recalled, await hits(limiter, "client", 1)]

    first, recalled, later = with_limiter(own_server.url, use, clock=clock, seconds=TIMEOUT_SECONDS)
    own_server.signal(signal.SIGCONT)

    assert [each.allowed for each in first] == [True, True, False]
    assert recalled == [first[2]] * 3
    assert later == [UNCOUNTED]


def test_rejected_keys_are_bounded(server, monkeypatch) -> None:
    monkeypatch.setattr("users_api.rate_limits.limiter.MAX_REJECTED_KEYS", 2)

    async def use(limiter: RateLimiter) -> list[Decision]:
        return [(await hits(limiter, f"bounded {number}", 2))[1] for number in range(5)]

    decisions = with_limiter(server.url, use, limit="1/day")

    assert [each.allowed for each in decisions] == [False] * 5


def test_several_limits_count_only_what_all_allow(server) -> None:
    with_limiter(server.url, lambda limiter: hits(limiter, "several", 9), limit="1/day;3/hour")

    (decision,) = with_limiter(server.url, lambda limiter: hits(limiter, "several", 1), limit="3/hour")

    assert decision.fields[1] == (b"ratelimit", b'"3-per-hour";r=1;t=3600')


@pytest.mark.parametrize(("early", "allowed"), [(0, True), (1.1, False)])
def test_after_retry_after_the_next_request_is_allowed(server, early, allowed) -> None:
    key = f"retry {early}"
    decision = with_limiter(server.url, lambda limiter: hits(limiter, key, 3))[2]

    with closing(Client.from_url(server.url)) as client:
        (name,) = client.keys(f"*{key}*")
        client.pexpire(name, client.pttl(name) - round(1000 * (decision.retry_after - early)))
    (later,) = with_limiter(server.url, lambda limiter: hits(limiter, key, 1))

    assert later.allowed is allowed


@pytest.mark.parametrize(
    ("end", "begin"),
    [
        (lambda server: server.signal(signal.SIGTERM), lambda server: server.start()),
        (lambda server: server.signal(signal.SIGKILL), lambda server: server.start()),
        (lambda server: server.signal(signal.SIGSTOP), lambda server: server.signal(signal.SIGCONT)),
    ],
    ids=["stopped", "killed", "hanging"],
)
def test_during_an_outage_requests_pass_and_afterwards_they_are_counted(
    own_server, reports, end, begin
) -> None:
    clock = Clock()

    async def use(limiter: RateLimiter) -> list[list[Decision]]:
        before = await hits(limiter, "client", 1)
        end(own_server)
        during = await hits_at_once(limiter, "client", 20) + await hits(limiter, "client", 80)
        begin(own_server)
        clock.now += 1
        return [before, during, await hits(limiter, "afterwards", 3)]

    before, during, after = with_limiter(own_server.url, use, clock=clock, seconds=OUTAGE_SECONDS)

    assert [each.allowed for each in before] == [True]
    assert during == [UNCOUNTED] * 100
    assert [each.allowed for each in after] == [True, True, False]
    assert len(reports()) == 1


def test_a_connection_that_redis_closed_is_replaced(own_server, reports) -> None:
    def restart() -> None:
        own_server.signal(signal.SIGKILL)
        own_server.start()

    async def use(limiter: RateLimiter) -> list[Decision]:
        before = await hits(limiter, "client", 1)
        await asyncio.to_thread(restart)
        return before + await hits(limiter, "client", 3)

    decisions = with_limiter(own_server.url, use)

    assert [each.allowed for each in decisions] == [True, True, True, False]
    assert reports() == []


def connections(listening: socket.socket) -> int:
    """Return how many clients have connected since the last call."""
    number = 0
    with suppress(BlockingIOError):
        while True:
            listening.accept()[0].close()
            number += 1
    return number


def test_one_request_a_second_waits_for_a_server_that_never_answers(listener, reports) -> None:
    clock = Clock()

    async def use(limiter: RateLimiter) -> tuple[list[Decision], list[int]]:
        decisions, attempts = [], []
        for _ in range(3):
            decisions += await hits(limiter, "client", 1) + await hits_at_once(limiter, "client", 50)
            attempts.append(connections(listener))
            clock.now += 1
        return decisions, attempts

    decisions, attempts = with_limiter(url_of(listener), use, clock=clock, seconds=TIMEOUT_SECONDS)

    assert decisions == [UNCOUNTED] * 153
    assert attempts == [1, 1, 1]
    assert reports() == ["Redis failed, requests pass without rate limits: no response in time"] * 3


@contextmanager
def blackhole() -> Iterator[str]:
    """Yield the URL of a listener whose queue is full, so that Linux drops further requests to connect."""
    with (
        closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as listening,
        closing(socket.create_connection(listening.getsockname())),
    ):
        yield url_of(listening)


def test_a_server_whose_packets_are_lost_lets_requests_pass(reports) -> None:
    with blackhole() as url:
        decisions = with_limiter(url, lambda limiter: hits(limiter, "client", 20), seconds=TIMEOUT_SECONDS)

    assert decisions == [UNCOUNTED] * 20
    assert len(reports()) == 1


def test_a_host_without_an_address_lets_requests_pass(reports) -> None:
    decisions = with_limiter("redis://redis.invalid", lambda limiter: hits(limiter, "client", 20))

    assert decisions == [UNCOUNTED] * 20
    assert len(reports()) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "Protocol Error: b'HTTP/1.1 400 Bad Request'"),
        (b"-ERR first\v second\r\n", "first second"),
    ],
)
def test_a_server_that_is_not_redis_lets_requests_pass(reports, answer, reason) -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(ConnectionResetError):
            while commands := (await reader.read(1000)).count(b"*"):
                writer.write(answer * commands)

    async def run() -> list[Decision]:
        async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
            store = RedisStore(url_of(server.sockets[0]), Clock())
            decisions = await hits(rate_limiter("api", RateLimits.parse("1/day"), store), "client", 20)
            await store.close()
        return decisions

    assert in_thread(run()) == [UNCOUNTED] * 20
    assert reports() == [f"Redis failed, requests pass without rate limits: {reason}"]


@pytest.mark.parametrize("value", ["many", "", b"\xff"])
@pytest.mark.parametrize("write", ["set", "rpush"])
def test_a_wrong_value_lets_its_key_pass_and_no_other(server, reports, write, value) -> None:
    wrong, other = f"wrong {write} {value!r}", f"right {write} {value!r}"
    name = RateLimits.parse("2/day").items[0].key_for("api", wrong)
    with closing(Client.from_url(server.url)) as client:
        getattr(client, write)(f"LIMITS:{{{name}}}", value)

    async def use(limiter: RateLimiter) -> list[Decision]:
        return [*await hits(limiter, wrong, 3), *await hits(limiter, other, 3)]

    decisions = with_limiter(server.url, use)

    assert decisions[:3] == [UNCOUNTED] * 3
    assert [each.allowed for each in decisions[3:]] == [True, True, False]
    assert len(reports()) == 1


def test_a_full_server_lets_requests_pass(reports) -> None:
    with redis("maxmemory 1", "maxmemory-policy noeviction") as full:
        decisions = with_limiter(full.url, lambda limiter: hits(limiter, "client", 20))

    assert decisions == [UNCOUNTED] * 20
    assert len(reports()) == 1


def test_the_reason_of_an_outage_is_logged_in_one_line(own_server, reports) -> None:
    own_server.signal(signal.SIGKILL)

    with_limiter(own_server.url, lambda limiter: hits(limiter, "client", 20))

    (line,) = reports()
    assert line.startswith(
        f"Redis failed, requests pass without rate limits: Error 111 connecting to {own_server.address}."
    )
    assert "\n" not in line


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (f"requirepass {PASSWORD}2", "invalid username-password pair or user is disabled."),
        ('rename-command AUTH ""', "unknown command 'AUTH', with args beginning with: '***'"),
    ],
)
def test_the_password_is_not_logged(reports, setting, reason) -> None:
    with redis(setting) as protected:
        url = f"redis://:{PASSWORD}@{protected.address}"
        decisions = with_limiter(url, lambda limiter: hits(limiter, "client", 3))

    assert decisions == [UNCOUNTED] * 3
    assert [line.strip() for line in reports()] == [
        f"Redis failed, requests pass without rate limits: {reason}"
    ]


def test_a_password_opens_a_protected_server(reports) -> None:
    with redis(f"requirepass {PASSWORD}") as protected:
        url = f"redis://:{PASSWORD}@{protected.address}/3"
        decisions = with_limiter(url, lambda limiter: hits(limiter, "client", 3))

    assert [each.allowed for each in decisions] == [True, True, False]
    assert reports() == []


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost:6379/0",
        "redis://[::1]:6379/",
        f"rediss://user:{PASSWORD}@redis.example.org:6380/15?ssl_cert_reqs=none",
    ],
)
def test_the_url_of_a_redis_server_is_accepted(url) -> None:
    assert redis_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://localhost",
        "unix:///run/redis.sock",
        "redis://",
        "redis://:6379",
        "redis://localhost:port",
        "redis://localhost:65536",
        "redis://localhost/first",
        "redis://localhost/0/1",
        "redis://[::1",
        f"redis://:{PASSWORD}/x@localhost",
        "redis://localhost?socket_timeout=soon",
        "redis://localhost?colour=red",
        "rediss://localhost?ssl_cert_reqs=perhaps",
    ],
)
def test_any_other_url_is_refused_without_its_password(url) -> None:
    with pytest.raises(ValueError, match="must be a URL") as refusal:
        redis_url(url)

    assert str(refusal.value) == "must be a URL like redis://:PASSWORD@HOST:6379/0, or rediss:// for TLS"
