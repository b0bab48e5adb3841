"""Reads the gauges of a worker twice a second, and measures how late its event loop is."""

import asyncio
from typing import Final

from users_api.observability.instruments import LOOP_LAG
from users_api.observability.recorder import Recorder

SECONDS: Final = 0.5


class Sampler:
    """Samples on the running event loop, from its creation until `stop`."""

    def __init__(self, recorder: Recorder) -> None:
        """Sample for this recorder, now and then twice a second."""
        self._recorder, self._loop = recorder, asyncio.get_running_loop()
        self._lag = recorder.histogram(LOOP_LAG, lambda _: ())
        self._recorder.sample()
        self._sample_later()

    def stop(self) -> None:
        """End."""
        self._timer.cancel()

    def _sample_later(self) -> None:
        self._timer = self._loop.call_later(SECONDS, self._sample, self._loop.time() + SECONDS)

    def _sample(self, due: float) -> None:
        late = max(0.0, self._loop.time() - due)
        self._lag.record([round(late * 1e9)], None)
        self._recorder.sample()
        self._sample_later()
