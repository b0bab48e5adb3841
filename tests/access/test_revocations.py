"""Revoked clients are known within 10 s, and a failure to read them forgets none."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.support.virtual_time import run_in_virtual_time
from users_api.access.revocations import Revocations, RevocationsUnknown

LONGEST_SECONDS = 10


async def hang() -> frozenset[str]:
    """Wait for a database that never answers."""
    answer: asyncio.Future[frozenset[str]] = asyncio.get_running_loop().create_future()
    return await answer


async def fail() -> frozenset[str]:
    """Fail at once."""
    message = "away"
    raise OSError(message)


def test_before_they_are_read_nothing_is_known() -> None:
    failures = list[Exception]()

    async def scenario() -> bool:
        revocations = Revocations(fail, failures.append)
        with pytest.raises(RevocationsUnknown):
            assert "a" not in revocations.clients
        succeeded = await revocations.refresh()
        with pytest.raises(RevocationsUnknown):
            assert "a" not in revocations.clients
        return succeeded

    assert asyncio.run(scenario()) is False
    assert [str(failure) for failure in failures] == ["away"]


@pytest.mark.parametrize("failing", [fail, hang])
def test_the_clients_read_last_stay_revoked_after_a_failure(
    failing: Callable[[], Awaitable[frozenset[str]]],
) -> None:
    reads = [read_one, failing]

    async def read_next() -> frozenset[str]:
        return await reads.pop(0)()

    async def scenario() -> frozenset[str]:
        revocations = Revocations(read_next, lambda _: None)
        await revocations.refresh()
        await revocations.refresh()
        return revocations.clients

    assert run_in_virtual_time(scenario()) == {"a"}


async def read_one() -> frozenset[str]:
    """Return one client."""
    return frozenset({"a"})


@pytest.mark.parametrize("failing", [fail, hang])
@pytest.mark.parametrize("begin", [0.0, 0.5, 1.0, 2.5, 2.999])
def test_a_client_is_known_in_time_although_a_read_fails(
    failing: Callable[[], Awaitable[frozenset[str]]], begin: float
) -> None:
    revoked, reads = set[str](), 0

    async def scenario() -> float:
        known = asyncio.Event()

        async def read() -> frozenset[str]:
            nonlocal reads
            reads += 1
            if reads == 2:
                return await failing()
            if revoked:
                known.set()
            return frozenset(revoked)

        revocations = Revocations(read, lambda _: None)
        await revocations.refresh()
        watching = asyncio.create_task(revocations.watch())
        await asyncio.sleep(begin)
        revoked.add("a")
        start = asyncio.get_running_loop().time()
        await known.wait()
        seconds = asyncio.get_running_loop().time() - start
        watching.cancel()
        return seconds

    assert run_in_virtual_time(scenario()) < LONGEST_SECONDS
    assert reads == 3
