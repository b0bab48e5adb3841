"""Revoked clients are read every few seconds; a failure changes nothing."""

import asyncio

from users_api.access.revocations import POLL_SECONDS, Revocations


def test_the_clients_read_last_stay_revoked_after_a_failure() -> None:
    answers = [frozenset({"a"}), OSError("away"), frozenset({"b"})]
    failures = list[Exception]()

    async def read() -> frozenset[str]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def scenario() -> list[frozenset[str]]:
        revocations = Revocations(read, failures.append)
        seen = [revocations.clients]
        for _ in range(3):
            await revocations.refresh()
            seen.append(revocations.clients)
        return seen

    assert asyncio.run(scenario()) == [frozenset(), {"a"}, {"a"}, {"b"}]
    assert [str(failure) for failure in failures] == ["away"]


def test_watching_reads_again_and_again() -> None:
    reads = 0

    async def read() -> frozenset[str]:
        nonlocal reads
        reads += 1
        if reads == 3:
            enough.set()
        return frozenset()

    enough = asyncio.Event()

    async def scenario() -> None:
        watching = asyncio.create_task(Revocations(read, print, seconds=0).watch())
        await enough.wait()
        watching.cancel()

    asyncio.run(scenario())

    assert reads == 3


def test_a_revoked_client_is_known_within_ten_seconds_although_a_poll_fails() -> None:
    assert 2 * POLL_SECONDS < 10
