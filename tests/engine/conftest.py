"""Fixtures: documents in files and at addresses."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def folder(tmp_path):
    def write(**files: str) -> Path:
        for name, text in files.items():
            file = tmp_path / name.replace("__", "/")
            file.parent.mkdir(exist_ok=True)
            file.with_suffix(".yaml").write_text(text)
        return tmp_path

    return write


@pytest.fixture
def site(folder):
    """Serve a folder's files over HTTP."""
    root = folder()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            file = root / self.path[1:]
            content = file.read_bytes() if file.is_file() else b""
            self.send_response(200 if content else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: Any) -> None:
            """Keep the test's output clean."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
