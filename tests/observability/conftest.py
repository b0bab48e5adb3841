"""What several tests of measurements need."""

import pytest

from users_api.observability.cells import SharedCells
from users_api.observability.exposition import Metrics
from users_api.observability.recorder import Recorder


class Measured:
    """A recorder, and the page that shows what it recorded."""

    def __init__(self) -> None:
        self.cells = SharedCells()
        self.recorder = Recorder(self.cells)

    def lines(self) -> list[str]:
        """Return the page's lines without comments."""
        page = Metrics(self.cells).text().decode()
        return [line for line in page.splitlines() if not line.startswith("#")]

    def counts(self, name: str) -> list[str]:
        """Return the lines of a histogram's counts, or of a counter or gauge, without the name."""
        return [
            line.removeprefix(name) for line in self.lines() if line.startswith((f"{name}{{", f"{name} "))
        ]


@pytest.fixture
def measured() -> Measured:
    """New measurements for one test."""
    return Measured()
