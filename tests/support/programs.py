"""Servers from Debian's packages with the tests' configuration: proxies and poolers."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.postgres import free_port
from tests.support.waiting import until


class Program:
    """A server whose command ends with the path of its configuration; `options` are those of `Popen`."""

    def __init__(self, folder: Path, configuration: str, *command: str, **options: Any) -> None:
        """Write the configuration, in which `{port}` is an unused port and `{folder}` the given one."""
        self.port, self.log, self.options = free_port(), folder / "log", options
        folder.chmod(0o755)
        settings = configuration.replace("{port}", str(self.port)).replace("{folder}", str(folder))
        (folder / "configuration").write_text(settings)
        name, *arguments = command
        path = shutil.which(name)
        assert path, f"{name} is not in PATH: install it (on Debian: apt-get install {name})"
        self.command = [path, *arguments, folder / "configuration"]

    def start(self) -> None:
        """Start it, and return when it listens."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd="/", **self.options)
        until(lambda: self.process.poll() is not None or self._listens())
        assert self.process.poll() is None, self.log.read_text()

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()

    def _listens(self) -> bool:
        with suppress(ConnectionRefusedError), closing(socket.create_connection(("127.0.0.1", self.port))):
            return True
        return False


@contextmanager
def run(program: Program) -> Iterator[Program]:
    """Start the program, and kill it afterwards."""
    program.start()
    try:
        yield program
    finally:
        program.kill()
