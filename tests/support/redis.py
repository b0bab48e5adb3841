"""A temporary Redis server, which stores nothing on disk."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.programs import Program, run

CONFIGURATION = """\
bind 127.0.0.1
port {port}
save ""
appendonly no
dir {folder}
"""


class Redis(Program):
    """A server on an unused port of the loopback interface, which keeps it when it is started again."""

    def __init__(self, folder: Path, *settings: str) -> None:
        """Write the configuration; `settings` are further lines of it, like `requirepass secret`."""
        super().__init__(folder, CONFIGURATION + "\n".join(settings), "redis-server")
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"redis://{self.address}"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal: SIGTERM stops it, SIGKILL is a crash, and SIGSTOP makes it hang until SIGCONT."""
        self.process.send_signal(number)
        if number in {signal.SIGTERM, signal.SIGKILL}:
            self.process.wait()


@contextmanager
def redis(*settings: str) -> Iterator[Redis]:
    """Yield a running server, and kill it afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="users-redis-") as folder,
        run(Redis(Path(folder), *settings)) as server,
    ):
        yield server
