"""Clients that ask for one user on keep-alive connections, and by how much an attack delays them."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from functools import partial
from statistics import quantiles
from typing import Any, NamedTuple

CLIENTS = 4
PAUSE_SECONDS = 0.004
MEASURED_SECONDS = 2.5  # More than a thousand requests, also on a slow machine.
ATTEMPTS = 3
MAX_SLOWDOWN = 5
REQUEST = b"GET /users/1 HTTP/1.1\r\nHost: localhost\r\n\r\n"

Attack = Callable[[int, float], Coroutine[Any, Any, Counter[int]]]


class Impact(NamedTuple):
    """The neighbours' p99 as a multiple of that before the attack, and the statuses of the attack."""

    slowdown: float
    statuses: Counter[int]


def impact(
    attackers: Executor, neighbours: Executor, port: int, attack: Attack, statuses: frozenset[int]
) -> Impact:
    """Measure the neighbours, which receive these statuses; return the best of up to three attempts.

    The attack and the neighbours have a process each, so that they delay neither each other nor the writers.
    """
    best, asking = None, partial(ask, statuses=statuses)
    for _ in range(ATTEMPTS):
        before = neighbours.submit(run, asking, port, MEASURED_SECONDS).result()
        attacking = attackers.submit(run, attack, port, MEASURED_SECONDS)
        during = neighbours.submit(run, asking, port, MEASURED_SECONDS).result()
        found = Impact(p99(during) / p99(before), attacking.result())
        print(
            f"neighbours' p99: {p99(before) * 1000:.1f} ms of {len(before)}, "
            f"{p99(during) * 1000:.1f} ms of {len(during)} during the attack: {found.slowdown:.1f} times; "
            f"{found.statuses}"
        )
        best = min(best or found, found, key=lambda each: each.slowdown)
        if best.slowdown <= MAX_SLOWDOWN:
            break
    return best


def run(clients: Callable[[int, float], Coroutine[Any, Any, Any]], port: int, seconds: float) -> Any:
    """Run the clients for this time, in this process."""
    return asyncio.run(clients(port, time.monotonic() + seconds))


async def ask(port: int, end: float, statuses: frozenset[int]) -> list[float]:
    """Return the response times of the neighbours' requests, in seconds."""
    found = await asyncio.gather(*(_ask(port, end, statuses) for _ in range(CLIENTS)))
    return [seconds for client in found for seconds in client]


async def _ask(port: int, end: float, statuses: frozenset[int]) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times = []
    while time.monotonic() < end:
        began = time.monotonic()
        writer.write(REQUEST)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        times.append(time.monotonic() - began)
        assert int(head.split()[1]) in statuses, head
        await asyncio.sleep(PAUSE_SECONDS)
    writer.close()
    return times


def p99(times: list[float]) -> float:
    """Return the 99th percentile."""
    return quantiles(times, n=100)[98]
