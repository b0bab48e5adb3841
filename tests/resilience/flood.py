"""More requests than a service can serve, sent at a constant rate regardless of responses."""

import asyncio
import json
import time
from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

CALLERS = 400
NUMBERS = count()


class Flooded(NamedTuple):
    """The outcome of one request."""

    status: int
    seconds: float


def flood(port: int, rate: float, seconds: float) -> list[Flooded]:
    """Add users at this total rate (requests per second), and return all responses."""
    return asyncio.run(_flood(port, rate, seconds))


async def _flood(port: int, rate: float, seconds: float) -> list[Flooded]:
    start = time.monotonic() + 1
    numbers = iter(range(int(rate * seconds)))
    found = await asyncio.gather(
        *(_call(port, numbers, lambda number: start + number / rate) for _ in range(CALLERS))
    )
    return [answer for answers in found for answer in answers]


async def _call(port: int, numbers: Any, due: Callable[[int], float]) -> list[Flooded]:
    """Send requests on one connection, each when it is due, or immediately if it is late."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = []
    for number in numbers:
        await asyncio.sleep(max(0, due(number) - time.monotonic()))
        began = time.monotonic()
        body = json.dumps({"username": "flood", "email": f"flood{next(NUMBERS)}@example.org"}).encode()
        head = "POST /users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(answer.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        answers.append(Flooded(int(answer.split()[1]), time.monotonic() - began))
    writer.close()
    return answers
