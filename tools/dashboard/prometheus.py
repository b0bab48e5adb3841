"""A Prometheus server that evaluates the dashboard's queries."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import httpx
import yaml

INTERVAL: Final = "250ms"
START_SECONDS: Final = 60
STEP_SECONDS: Final = 0.05


class PrometheusMissing(Exception):  # noqa: N818 -- named for what happened.
    """Prometheus is not installed."""

    def __init__(self) -> None:
        """Say how to install it."""
        super().__init__("prometheus is not in PATH: install it (on Debian: apt-get install prometheus)")


class PrometheusFailed(Exception):  # noqa: N818 -- named for what happened.
    """Prometheus does not start, or rejects a query; the message is its own."""


class Series(NamedTuple):
    """The labels of a result, and its points: seconds and values."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


class Prometheus:
    """A running server."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        """Ask the server of this process on this port."""
        self.url = f"http://127.0.0.1:{port}"
        self._process, self._log = process, log

    def wait(self) -> None:
        """Return when the server is ready.

        Raises:
            PrometheusFailed: it has ended, or is not ready in time; the message is its log.
        """
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._is_ready():
                return
            time.sleep(STEP_SECONDS)
        raise PrometheusFailed(self._log.read_text())

    def query(self, expression: str) -> list[Series]:
        """Return the present result of an expression.

        Raises:
            PrometheusFailed: the expression is invalid.
        """
        return [Series(each["metric"], (_point(each["value"]),)) for each in self._ask("query", expression)]

    def query_range(self, expression: str, *, start: float, end: float, step: float) -> list[Series]:
        """Return the results of an expression at each step between two times.

        Raises:
            PrometheusFailed: the expression is invalid.
        """
        found = self._ask("query_range", expression, start=start, end=end, step=step)
        return [Series(each["metric"], tuple(map(_point, each["values"]))) for each in found]

    def _ask(self, path: str, expression: str, **times: float) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.url}/api/v1/{path}", params={"query": expression, **times}, timeout=30)
        content = answer.json()
        if content["status"] != "success":
            raise PrometheusFailed(content["error"])
        result: list[dict[str, Any]] = content["data"]["result"]
        return result

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready").status_code == HTTPStatus.OK
        except httpx.TransportError:
            return False


def _point(pair: tuple[float, str]) -> tuple[float, float]:
    return pair[0], float(pair[1])


def target(port: int) -> dict[str, Any]:
    """Return the configuration that scrapes a port as an instance of the job `users`."""
    return {
        "job_name": f"port {port}",
        "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": {"job": "users"}}],
    }


@contextmanager
def prometheus(*scrape_configs: Mapping[str, Any]) -> Iterator[Prometheus]:
    """Run a server that scrapes four times a second, in a temporary folder.

    Raises:
        PrometheusMissing: it is not installed.
        PrometheusFailed: it does not start.
    """
    with TemporaryDirectory(prefix="users-prometheus-") as name, closing(socket.socket()) as probe:
        folder, settings = Path(name), {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL}
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        configuration = {"global": settings, "scrape_configs": list(scrape_configs)}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        with _process(folder, port) as process:
            server = Prometheus(port, process, folder / "log")
            server.wait()
            yield server


@contextmanager
def _process(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the program and kill it afterwards: nothing that it stores is needed any more."""
    program = shutil.which("prometheus")
    if program is None:
        raise PrometheusMissing
    command = [program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("wb") as log:
        command.append(f"--web.listen-address=127.0.0.1:{port}")
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 -- its own command.
        try:
            yield process
        finally:
            process.kill()
            process.wait()
