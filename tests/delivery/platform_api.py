"""A fake of Heroku's Platform API, limited to the documented calls that a release makes."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MEDIA_TYPE = "application/vnd.heroku+json; version=3.docker-releases"
OUTPUT = "relation users exists\n"


class PlatformAPI(ThreadingHTTPServer):
    """One app with one release; a formation creates another one, first pending, then with the set outcome."""

    daemon_threads = True

    def __init__(self, token: str) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.token, self.outcome, self.polls_until_then = token, "succeeded", 2
        self.accepts, self.away_for = True, 0
        self.formations: list[Any] = []
        self.releases: list[dict[str, Any]] = [{"version": 41, "status": "succeeded"}]

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Any]:
        """Return the status and JSON of a response."""
        if headers["Authorization"] != f"Bearer {self.token}":
            return HTTPStatus.UNAUTHORIZED, {
                "id": "unauthorized",
                "message": f"No app for {headers['Authorization']}",
            }
        if headers["Accept"] != MEDIA_TYPE:
            return HTTPStatus.NOT_ACCEPTABLE, {"id": "not_acceptable"}
        match method, path:
            case "GET", "/apps/directory":
                return HTTPStatus.OK, {"web_url": "https://directory-0123456789ab.herokuapp.com/"}
            case "GET", "/apps/directory/releases" if headers["Range"] == "version ..; max=1, order=desc":
                return HTTPStatus.PARTIAL_CONTENT, [self.newest_release()]
            case "PATCH", "/apps/directory/formation":
                return self.take(json.loads(body))
        return HTTPStatus.NOT_FOUND, {"id": "not_found", "message": "Couldn't find that app."}

    def take(self, formation: Any) -> tuple[int, Any]:
        """Start a release."""
        if not self.accepts:
            return HTTPStatus.UNPROCESSABLE_ENTITY, {"id": "invalid_params", "message": "No such image."}
        self.formations.append(formation)
        self.releases.append(
            {"version": 42, "status": "pending", "output_stream_url": f"{self.url}/output?secret"}
        )
        return HTTPStatus.OK, []

    def is_away(self) -> bool:
        """Return whether the platform is temporarily unavailable after a formation."""
        self.away_for -= bool(self.formations)
        return bool(self.formations) and self.away_for >= 0

    def newest_release(self) -> dict[str, Any]:
        """Return the newest release; it is pending for a number of requests."""
        newest = self.releases[-1]
        if newest["status"] == "pending":
            self.polls_until_then -= 1
            if not self.polls_until_then:
                newest["status"] = self.outcome
        return newest


class Handler(BaseHTTPRequestHandler):
    """Handles requests with the fake API."""

    server: PlatformAPI

    def do_GET(self) -> None:
        """Handle a GET request."""
        if self.path.startswith("/output"):
            self.respond(HTTPStatus.OK, OUTPUT.encode())
            return
        if self.server.is_away():
            self.respond(HTTPStatus.SERVICE_UNAVAILABLE, b"")
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, answer = self.server.answer(self.command, self.path, self.headers, body)
        self.respond(status, json.dumps(answer).encode())

    def do_PATCH(self) -> None:
        """Handle a PATCH request."""
        self.do_GET()

    def respond(self, status: int, body: bytes) -> None:
        """Send a response."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


@contextmanager
def platform_api(token: str) -> Iterator[PlatformAPI]:
    """Run the fake API."""
    with PlatformAPI(token) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
