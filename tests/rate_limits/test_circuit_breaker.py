"""When a service that failed is used again."""

from tests.rate_limits.clock import Clock
from users_api.rate_limits.circuit_breaker import CircuitBreaker


def test_a_service_that_works_is_always_used() -> None:
    breaker = CircuitBreaker(Clock())

    assert [breaker.allows_attempt() for _ in range(3)] == [True] * 3


def test_a_service_that_failed_is_tried_once_a_second() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock)
    breaker.fail()

    attempts = []
    for _ in range(3):
        attempts.append([breaker.allows_attempt() for _ in range(2)])
        clock.now += 1

    assert attempts == [[False, False], [True, False], [True, False]]


def test_a_service_that_works_again_is_always_used() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock)
    breaker.fail()
    clock.now += 1
    breaker.allows_attempt()

    breaker.succeed()

    assert [breaker.allows_attempt() for _ in range(3)] == [True] * 3
