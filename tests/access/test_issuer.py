"""When keys are fetched, and what requests do meanwhile."""

import asyncio
import logging
from itertools import pairwise

import pytest
import uvloop

from tests.access.stage import FETCH, against_an_issuer, failure, now, start, verifies
from tests.support.issuers import (
    BROKEN,
    DISCONNECT,
    JWKS,
    METADATA,
    NOT_FOUND,
    OPENID_METADATA,
    ControlledIssuer,
    Respond,
    document,
    hang,
    in_thread,
    new_rsa_key,
)
from tests.support.virtual_time import run_in_virtual_time
from users_api.access.discovery import DEFAULT_MAX_AGE, FETCH_SECONDS
from users_api.access.issuer import COOLDOWN_SECONDS, LATEST_REFRESH, Issuer

EVENT_LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
UNKNOWN = 10_000
HOURS = 3 * 60 * 60
LONGEST_REFRESH = LATEST_REFRESH * DEFAULT_MAX_AGE


@against_an_issuer
async def test_keys_are_found_by_the_metadata_of_oauth(remote: ControlledIssuer, issuer: Issuer) -> None:
    await issuer.start()
    found = await issuer.refresh_for(remote.key.thumbprint())

    assert found
    assert remote.requests == FETCH
    assert verifies(issuer, remote.mint(), remote.key.thumbprint())


@against_an_issuer
async def test_keys_are_found_by_the_metadata_of_openid_connect(
    remote: ControlledIssuer, issuer: Issuer
) -> None:
    remote.rotate(new_rsa_key())
    remote.responses[METADATA] = NOT_FOUND

    await issuer.start()
    found = await issuer.refresh_for(remote.key.thumbprint())

    assert found
    assert remote.requests == [METADATA, OPENID_METADATA, JWKS]
    assert verifies(issuer, remote.mint(), remote.key.thumbprint(), "RS256")


def test_an_issuer_with_a_path_is_one_of_several_on_its_host() -> None:
    async def play() -> None:
        async with ControlledIssuer("/tenants/users/") as remote:
            issuer = Issuer(remote.url, clock=now)
            await issuer.start()
            assert await issuer.refresh_for(remote.key.thumbprint())
            await issuer.stop()
        assert remote.requests == [METADATA + "/tenants/users", JWKS]

    run_in_virtual_time(play())


@against_an_issuer
async def test_a_service_starts_while_its_issuer_hangs(remote: ControlledIssuer, issuer: Issuer) -> None:
    remote.everywhere, beginning = hang, now()

    await issuer.start()

    assert now() == beginning
    assert len(issuer.keys) == 0


@against_an_issuer
async def test_first_requests_wait_for_the_first_fetch(remote: ControlledIssuer, issuer: Issuer) -> None:
    kid = remote.key.thumbprint()

    await issuer.start()
    found = await asyncio.gather(*(issuer.refresh_for(each) for each in [kid, "unknown", None] * 100))

    assert found == [True, False, True] * 100  # The only key is that of a token without an id.
    assert remote.requests == FETCH


@against_an_issuer
async def test_without_any_keys_requests_wait_for_one_fetch_at_most(
    remote: ControlledIssuer, issuer: Issuer
) -> None:
    remote.everywhere, beginning = hang, now()

    await issuer.start()
    reasons = await asyncio.gather(*(failure(issuer) for _ in range(100)))

    assert set(reasons) == {f"{remote.url}: no complete response within 5 s"}
    assert now() - beginning == pytest.approx(FETCH_SECONDS)
    assert remote.requests == [METADATA]


def test_without_a_start_there_are_no_keys() -> None:
    issuer = Issuer("https://issuer.example")  # Outside of any event loop.

    reason = run_in_virtual_time(failure(issuer))
    run_in_virtual_time(issuer.stop())

    assert reason == "no fetch has ended yet"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Cache-Control: public, max-age=300", 300),
        ("Cache-Control: max-age=1", 60),
        ("Cache-Control: max-age=86400", 3600),
        ("X-No: header", 600),
    ],
)
def test_keys_are_refreshed_before_they_expire(header: str, seconds: int) -> None:
    @against_an_issuer
    async def test(remote: ControlledIssuer, issuer: Issuer) -> None:
        remote.headers = (header,)
        await issuer.start()
        await asyncio.sleep(10 * seconds)

        pauses = pauses_between_fetches(remote)
        assert len(pauses) > 10
        assert all(0.75 * seconds <= pause <= 0.85 * seconds for pause in pauses)
        assert len(set(pauses)) > 1

    test()


def pauses_between_fetches(remote: ControlledIssuer) -> list[float]:
    """Return the seconds from the beginning of each fetch to that of the next one."""
    beginnings = [time for path, time in zip(remote.requests, remote.times, strict=True) if path == METADATA]
    return [after - before for before, after in pairwise(beginnings)]


@against_an_issuer
async def test_a_failed_fetch_is_repeated_after_a_second_to_a_minute(
    remote: ControlledIssuer, issuer: Issuer
) -> None:
    remote.everywhere = DISCONNECT

    await issuer.start()
    await asyncio.sleep(300)

    assert pauses_between_fetches(remote) == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60], abs=0.01)


@against_an_issuer
async def test_a_hanging_issuer_costs_five_seconds_and_the_pause(
    remote: ControlledIssuer, issuer: Issuer
) -> None:
    remote.everywhere = hang

    await issuer.start()
    await asyncio.sleep(60)

    assert pauses_between_fetches(remote) == pytest.approx([6, 7, 9, 13, 21], abs=0.01)


def test_each_failure_and_the_recovery_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    @against_an_issuer
    async def test(remote: ControlledIssuer, issuer: Issuer) -> None:
        await start(remote, issuer)
        remote.everywhere = BROKEN
        await asyncio.sleep(LONGEST_REFRESH + 2)
        remote.everywhere = None
        await asyncio.sleep(2 * LONGEST_REFRESH)

        failed = (
            f"The keys of {remote.url} could not be fetched, 1 stay valid: "
            f"{remote.url}{METADATA}: the status is 500; {remote.url}{OPENID_METADATA}: the status is 500"
        )
        assert set(caplog.messages) == {failed, f"The keys of {remote.url} were fetched again"}
        assert 1 < caplog.messages.count(failed) < 9
        assert caplog.messages[-1] != failed
        assert len(caplog.messages) == caplog.messages.count(failed) + 1
        assert [record.exc_info for record in caplog.records if record.exc_info] == []

    with caplog.at_level(logging.DEBUG, "users_api"):
        test()


def test_the_pause_grows_anew_after_a_recovery() -> None:
    @against_an_issuer
    async def test(remote: ControlledIssuer, issuer: Issuer) -> None:
        remote.everywhere = DISCONNECT
        await issuer.start()
        await asyncio.sleep(100)
        remote.everywhere = None
        await asyncio.sleep(60)
        remote.everywhere = DISCONNECT
        await asyncio.sleep(DEFAULT_MAX_AGE)

        pauses = pauses_between_fetches(remote)
        recovery = pauses.index(max(pauses))
        assert pauses[recovery + 1 : recovery + 5] == pytest.approx([1, 2, 4, 8], abs=0.01)

    test()


@against_an_issuer
async def test_keys_stay_valid_while_the_issuer_is_unreachable(
    remote: ControlledIssuer, issuer: Issuer
) -> None:
    await start(remote, issuer)
    keys, remote.everywhere = issuer.keys, DISCONNECT

    await asyncio.sleep(HOURS)

    assert issuer.keys is keys
    assert len(remote.requests) > HOURS / 61
    assert verifies(issuer, remote.mint(), remote.key.thumbprint())


@against_an_issuer
async def test_the_first_token_of_a_new_key_is_accepted(remote: ControlledIssuer, issuer: Issuer) -> None:
    await start(remote, issuer)
    old = remote.key.thumbprint()

    remote.rotate(new_rsa_key())
    found = await asyncio.gather(*(issuer.refresh_for(remote.key.thumbprint()) for _ in range(100)))

    assert found == [True] * 100
    assert remote.requests == FETCH
    assert verifies(issuer, remote.mint(), remote.key.thumbprint(), "RS256")
    assert not issuer.keys.find(old)


@against_an_issuer
async def test_a_removed_key_is_forgotten_at_the_next_refresh(
    remote: ControlledIssuer, issuer: Issuer
) -> None:
    await start(remote, issuer)
    removed = remote.key.thumbprint()

    remote.rotate()
    await asyncio.sleep(DEFAULT_MAX_AGE)

    assert not issuer.keys.find(removed)
    assert issuer.keys.find(remote.key.thumbprint())


@pytest.mark.parametrize("everywhere", [None, DISCONNECT])
def test_unknown_ids_cause_one_fetch_in_ten_seconds(everywhere: Respond | None) -> None:
    @against_an_issuer
    async def test(remote: ControlledIssuer, issuer: Issuer) -> None:
        await start(remote, issuer)
        remote.everywhere, beginning = everywhere, now()
        fetch = FETCH if everywhere is None else [METADATA, OPENID_METADATA]

        at_once = await asyncio.gather(*(issuer.refresh_for(f"{n}") for n in range(UNKNOWN)))
        later = [await issuer.refresh_for(f"later {n}") for n in range(UNKNOWN)]
        assert not any(at_once + later)
        assert remote.requests == fetch
        assert now() == beginning

        await asyncio.sleep(COOLDOWN_SECONDS - 0.5)
        remote.forget_requests()
        assert not await issuer.refresh_for("during the cooldown")
        assert remote.requests == []

        await asyncio.sleep(1)
        remote.forget_requests()
        assert not await issuer.refresh_for("after the cooldown")
        assert remote.requests == fetch

    test()


@against_an_issuer
async def test_requests_with_known_keys_never_wait(remote: ControlledIssuer, issuer: Issuer) -> None:
    await start(remote, issuer)
    remote.everywhere, beginning, token = hang, now(), remote.mint()
    waiting = [asyncio.create_task(issuer.refresh_for(f"{n}")) for n in range(UNKNOWN)]
    await asyncio.sleep(1)

    found = await issuer.refresh_for(remote.key.thumbprint())
    verified = verifies(issuer, token, remote.key.thumbprint())

    assert found
    assert verified
    assert now() - beginning == 1
    assert not any(task.done() for task in waiting)
    assert not any(await asyncio.gather(*waiting))
    assert now() - beginning == pytest.approx(FETCH_SECONDS)
    assert remote.requests == [METADATA]


@against_an_issuer
async def test_requests_wait_for_a_running_refresh_even_in_the_cooldown(
    remote: ControlledIssuer, issuer: Issuer
) -> None:
    await start(remote, issuer)
    remote.everywhere = DISCONNECT
    assert not await issuer.refresh_for("unknown")
    running = asyncio.Event()

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.set()
        await asyncio.sleep(2)
        await document(remote.metadata())(reader, writer)

    remote.everywhere, remote.responses[METADATA] = None, respond
    remote.rotate()
    await running.wait()

    assert await issuer.refresh_for(remote.key.thumbprint())


@against_an_issuer
async def test_a_request_that_is_cancelled_leaves_the_fetch_to_the_others(
    remote: ControlledIssuer, issuer: Issuer
) -> None:
    await issuer.start()
    kid = remote.key.thumbprint()
    cancelled, other = (asyncio.create_task(issuer.refresh_for(kid)) for _ in range(2))
    await asyncio.sleep(0)

    cancelled.cancel()

    assert await other
    assert cancelled.cancelled()
    assert remote.requests == FETCH


@against_an_issuer
async def test_stopping_ends_a_fetch_and_its_waiters_at_once(
    remote: ControlledIssuer, issuer: Issuer
) -> None:
    remote.everywhere, beginning = hang, now()
    await issuer.start()
    waiting = asyncio.create_task(failure(issuer))
    await asyncio.sleep(1)

    await issuer.stop()

    assert "Issuer._refresh_repeatedly" not in [task.get_coro().__qualname__ for task in asyncio.all_tasks()]
    assert await waiting == "no fetch has ended yet"
    assert now() - beginning == 1


@against_an_issuer
async def test_no_request_waits_after_a_start_that_is_stopped_at_once(
    remote: ControlledIssuer, issuer: Issuer
) -> None:
    await issuer.start()

    await issuer.stop()

    assert await failure(issuer) == "no fetch has ended yet"
    assert remote.requests == []


@against_an_issuer
async def test_after_a_stop_the_keys_remain_and_nothing_is_fetched(
    remote: ControlledIssuer, issuer: Issuer
) -> None:
    await start(remote, issuer)

    await issuer.stop()
    found = [await issuer.refresh_for(kid) for kid in (remote.key.thumbprint(), "unknown")]
    await asyncio.sleep(HOURS)

    assert found == [True, False]
    assert remote.requests == []


@pytest.mark.parametrize("library", sorted(EVENT_LOOPS))
def test_every_event_loop_fetches_keys(library: str) -> None:
    async def play(remote: ControlledIssuer) -> bool:
        issuer = Issuer(remote.url)
        await issuer.start()
        found = await issuer.refresh_for(remote.key.thumbprint())
        await issuer.stop()
        return found

    with (
        in_thread(ControlledIssuer()) as remote,
        asyncio.Runner(loop_factory=EVENT_LOOPS[library]) as runner,
    ):
        assert runner.run(play(remote))
