"""Which requests are within the limits, counted in memory that processes share."""

import asyncio
import os
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rate_limits.clock import Clock
from tests.rate_limits.processes import fork, kill
from users_api.rate_limits.limiter import RateLimiter, rate_limiter
from users_api.rate_limits.limits import Decision, RateLimits
from users_api.rate_limits.shared_memory_storage import SharedMemoryStorage
from users_api.rate_limits.window_table import WindowTable

MINUTE = 60


def limiter(text: str, clock: Clock, table: WindowTable | None = None) -> RateLimiter:
    """Return a limiter with its own table."""
    return RateLimiter("api", RateLimits.parse(text), SharedMemoryStorage(table or WindowTable(), clock))


def hit(limiter: RateLimiter, key: str = "client:1", times: int = 1) -> Decision:
    """Return the decision about the last of several requests."""
    return [asyncio.run(limiter.hit(key)) for _ in range(times)][-1]


def count_allowed(limiter: RateLimiter, requests: int) -> int:
    """Return how many of the requests are allowed."""

    async def count() -> int:
        return sum([(await limiter.hit("client:1")).allowed for _ in range(requests)])

    return asyncio.run(count())


def test_an_allowed_request_is_told_what_remains() -> None:
    clock = Clock(10 * MINUTE + 20)

    decision = hit(limiter("100/minute", clock), times=3)

    assert decision == Decision(
        allowed=True,
        fields=[
            (b"ratelimit-policy", b'"100-per-minute";q=100;w=60'),
            (b"ratelimit", b'"100-per-minute";r=97;t=41'),
        ],
        retry_after=0,
    )


def test_a_rejected_request_is_told_when_to_retry() -> None:
    clock = Clock(10 * MINUTE + 20.5)

    decision = hit(limiter("2/minute", clock), times=3)

    assert decision == Decision(
        allowed=False,
        fields=[
            (b"ratelimit-policy", b'"2-per-minute";q=2;w=60'),
            (b"ratelimit", b'"2-per-minute";r=0;t=40'),
            (b"retry-after", b"40"),
        ],
        retry_after=40,
    )


def test_every_limit_is_described() -> None:
    clock = Clock(60 * MINUTE)

    decision = hit(limiter("1/second;5/minute;9/hour", clock), times=2)

    assert decision.fields == [
        (
            b"ratelimit-policy",
            b'"1-per-second";q=1;w=1, "5-per-minute";q=5;w=60, "9-per-hour";q=9;w=3600',
        ),
        (b"ratelimit", b'"1-per-second";r=0;t=2, "5-per-minute";r=4;t=61, "9-per-hour";r=8;t=3601'),
        (b"retry-after", b"2"),
    ]


def test_an_unused_limit_is_replenished_after_its_length() -> None:
    clock = Clock()
    limited = limiter("1/second;5/minute", clock)
    hit(limited)
    clock.now += 90
    table = WindowTable()
    both, seconds = limiter("1/second;5/minute", clock, table), limiter("1/second", clock, table)

    hit(seconds)

    assert hit(both).fields[1] == (b"ratelimit", b'"1-per-second";r=0;t=2, "5-per-minute";r=5;t=60')


def test_the_previous_window_counts_by_its_share() -> None:
    clock = Clock(10 * MINUTE)
    limited = limiter("4/minute", clock)
    hit(limited, times=4)

    clock.now += 60 + 31
    allowed = [hit(limited).allowed for _ in range(4)]

    assert allowed == [True, True, True, False]


def test_requests_are_forgotten_after_two_windows() -> None:
    clock = Clock(10 * MINUTE)
    limited = limiter("4/minute", clock)
    hit(limited, times=4)

    clock.now += 120

    assert hit(limited).fields[1] == (b"ratelimit", b'"4-per-minute";r=3;t=61')


def test_a_rejected_request_extends_no_wait() -> None:
    clock = Clock(10 * MINUTE)
    limited = limiter("2/minute", clock)
    first = hit(limited, times=3)

    clock.now += 20
    later = hit(limited, times=100)

    assert (first.retry_after, later.retry_after) == (61, 41)


@settings(deadline=None)
@given(
    amounts=st.tuples(st.integers(1, 9), st.integers(1, 30)),
    pauses=st.lists(st.floats(0, 40), min_size=1, max_size=60),
    start=st.floats(0, 1e6),
)
def test_after_retry_after_and_not_a_second_earlier_the_next_request_is_allowed(
    amounts, pauses, start
) -> None:
    clock = Clock(start)
    limited = limiter(f"{amounts[0]}/7 second;{amounts[1]}/minute", clock)

    for pause in pauses:
        clock.now += pause
        decision = hit(limited)
        if not decision.allowed:
            now = clock.now
            clock.now = max(now, now + decision.retry_after - 1.002)
            assert not hit(limited).allowed
            clock.now = now + decision.retry_after
            assert hit(limited).allowed


def test_a_request_that_one_limit_rejects_is_counted_by_none() -> None:
    clock = Clock(60 * MINUTE)
    limited = limiter("1/second;2/hour;3/minute", clock)

    hit(limited, times=50)
    clock.now += 2

    assert hit(limited).allowed


def test_keys_and_limiters_count_apart() -> None:
    clock, table = Clock(), WindowTable()
    api = limiter("1/minute", clock, table)
    tokens = RateLimiter("tokens", RateLimits.parse("1/minute"), SharedMemoryStorage(table, clock))

    allowed = [hit(each, key).allowed for each in (api, tokens) for key in ("client:1", "client:2") * 2]

    assert allowed == [True, True, False, False] * 2


def test_the_limiters_of_a_process_share_its_memory() -> None:
    key = "client:shared"

    allowed = [hit(rate_limiter("test", RateLimits.parse("2/day")), key).allowed for _ in range(3)]

    assert allowed == [True, True, False]


def test_a_limit_is_exact_across_processes() -> None:
    limited = limiter("1000/day", Clock())
    ready, go = os.pipe()
    results, result = os.pipe()

    def work() -> None:  # pragma: no cover -- coverage does not see it leave.
        os.close(go)
        os.read(ready, 1)
        os.write(result, b"%d\n" % count_allowed(limited, 600))

    children = [fork(work) for _ in range(3)]
    os.close(go)
    own = count_allowed(limited, 600)
    for child in children:
        os.waitpid(child, 0)
    others = [int(line) for line in os.read(results, 100).split()]
    for descriptor in (ready, results, result):
        os.close(descriptor)

    assert len(others) == 3
    assert own + sum(others) == 1000


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_ends_while_it_counts_blocks_no_other(number) -> None:
    table = WindowTable()
    limited = limiter("2/day", Clock(), table)

    def work() -> None:  # pragma: no cover -- coverage does not see it leave.
        table.lock.__enter__()
        os.kill(os.getpid(), number)

    child = fork(work)
    os.waitpid(child, os.WUNTRACED)
    allowed = [hit(limited).allowed for _ in range(3)]
    if number == signal.SIGSTOP:
        kill(child)

    assert allowed == [True, True, False]


def test_a_full_table_rejects_no_client_within_its_limit() -> None:
    limited = limiter("2/minute", Clock(), WindowTable(buckets=1))

    allowed = [hit(limited, f"client:{number}").allowed for number in range(100)]

    assert all(allowed)
