"""Runs `users-api serve` and other commands in subprocesses."""

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import pytest
from flask_migrate import upgrade

from tests.support.postgres import free_port
from tests.support.waiting import until
from users_api.app import create_flask_app
from users_api.database import db

STOP_SECONDS = 25
COMMAND = Path(sys.executable).with_name("users-api")


class Service:
    """A running service on an unused port."""

    def __init__(
        self, database_url: str, *arguments: str, output: IO[bytes] | None = None, **environment: str
    ) -> None:
        """Start the service with production settings; `output` is where it logs instead of to a file."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        settings = {
            "APP_SETTINGS": "users_api.config.ProductionConfig",
            "AUTH": "none",
            "DATABASE_URL": database_url,
            "PORT": str(self.port),
        }
        self.environment = os.environ | settings | environment
        self.log = TemporaryFile("w+")  # noqa: SIM115 -- `close` closes it.
        self._output = output or self.log
        self.arguments = arguments or ("serve",)
        self.start()

    def start(self) -> None:
        """Start or restart the service and return when it responds."""
        self.process = subprocess.Popen(
            [COMMAND, *self.arguments], env=self.environment, stdout=self._output, stderr=self.log
        )
        with ExitStack() as failing:
            failing.callback(self.process.terminate)
            until(lambda: self.process.poll() is not None or self.answers())
            assert self.process.poll() is None, self.output()
            failing.pop_all()

    def answers(self) -> bool:
        """Return whether the liveness check succeeds."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health/live")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()

    def output(self) -> str:
        """Return the service's output so far, without moving the position at which the service writes."""
        descriptor = self.log.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode()

    def command(self, *arguments: str) -> str:
        """Run another command of `users-api` on the same database and return its output."""
        command = [COMMAND, *arguments]
        return subprocess.run(
            command, env=self.environment, check=True, capture_output=True, text=True
        ).stdout

    def stop(self) -> int:
        """Send SIGTERM and return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        finally:
            self.process.kill()

    def close(self) -> None:
        """Delete the log."""
        self.log.close()


def failed_start(folder: Path, **environment: str) -> tuple[int, str]:
    """Return the exit status and the error of `users-api serve` with settings that stop the start."""
    settings = {
        "APP_SETTINGS": "users_api.config.ProductionConfig",
        "AUTH": "none",
        "DATABASE_URL": f"sqlite:///{folder}/unused.db",
    }
    variables = os.environ | settings | environment
    done = subprocess.run([COMMAND, "serve"], env=variables, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def migrate(database_url: str, **environment: str) -> None:
    """Upgrade the database in this process, which takes a tenth of the time of the command."""
    settings = {
        "APP_SETTINGS": "users_api.config.ProductionConfig",
        "AUTH": "none",
        "DATABASE_URL": database_url,
    }
    with pytest.MonkeyPatch.context() as variables:
        for name, value in (settings | environment).items():
            variables.setenv(name, value)
        app = create_flask_app()
    with app.app_context():
        try:
            upgrade()
        finally:
            db.engine.dispose()


@contextmanager
def service(database_url: str, **environment: str) -> Iterator[Service]:
    """Yield a running service with a migrated database, and stop it afterwards."""
    migrate(database_url, **environment)
    running = Service(database_url, **environment)
    try:
        yield running
    finally:
        assert running.stop() == 0, running.output()
        running.close()
