"""What logs, metrics and traces cost; request ids are part of the contract, so all services have them."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

from bench import overhead
from bench.compare import GOALS
from bench.systems import System, users_api, users_api_unobserved

OFF: Final = "all off"
ON: Final = "logs, metrics"
TRACED: Final = "and 1 % traced"
SAMPLED: Final = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}


class Collector(BaseHTTPRequestHandler):
    """Accepts traces."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read the traces, and forget them."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def compare() -> overhead.Costs:
    """Return the costs of each operation."""
    with collector() as url:
        starts: list[overhead.Start] = [
            users_api_unobserved,
            users_api_unobserved,
            users_api,
            lambda shared: users_api(shared, OTEL_EXPORTER_OTLP_ENDPOINT=url, **SAMPLED),
        ]
        return overhead.compare(starts, _named)


@contextmanager
def collector() -> Iterator[str]:
    """Run a collector of traces, and return its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def goals() -> dict[str, float]:
    """Return the most that each may cost: times the cost with all off."""
    return {ON: GOALS["observability"]["times"], TRACED: GOALS["observability"]["traced"]}


def _named(systems: list[System]) -> list[System]:
    names = OFF, overhead.CONTROL, ON, TRACED
    return [system._replace(name=name) for system, name in zip(systems, names, strict=True)]
