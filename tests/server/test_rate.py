"""Large bodies are read at a limited rate."""

import pytest

from users_api.server.rate import BURST_SECONDS, ReadingRate


def test_an_idle_worker_reads_a_burst_at_once() -> None:
    rate, burst = ReadingRate(1600), int(1600 * BURST_SECONDS)

    delays = [rate.delay(burst, 10), rate.delay(1600, 10), rate.delay(800, 11), rate.delay(burst, 100)]

    assert delays == pytest.approx([0, 1, 0.5, 0])


def test_the_connections_share_the_rate() -> None:
    rate = ReadingRate(1000)
    rate.delay(int(1000 * BURST_SECONDS), 5)

    assert [rate.delay(100, 5) for _ in range(3)] == pytest.approx([0.1, 0.2, 0.3], abs=0.001)
