"""A page of another origin in a real browser uses the API if its origin is allowed, and only then."""

from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.contract.browser.conftest import PATIENCE_MILLISECONDS
from tests.support.service import Service, service

ADA = {"username": "Ada", "email": "ada@example.org"}
# Returns the status, the entity tag and the body, or the name of the error.
CHANGE = """
async ([url, tag]) => {
    const headers = {"Authorization": "Bearer token", "Content-Type": "application/json", "If-Match": tag}
    try {
        const response = await fetch(url, {method: "PATCH", headers, body: '{"username": "Grace"}'})
        return [response.status, response.headers.get("ETag"), await response.json()]
    } catch (error) {
        return error.name
    }
}
"""
READ = """
async ([url, credentials]) => {
    try {
        return (await fetch(url, {credentials})).status
    } catch (error) {
        return error.name
    }
}
"""
SHOW = """
([url, crossOrigin]) => new Promise(resolve => {
    const image = new Image()
    image.onload = () => resolve("shown")
    image.onerror = () => resolve("blocked")
    image.crossOrigin = crossOrigin
    image.src = url
})
"""


class EmptyPage(BaseHTTPRequestHandler):
    """Responds with an empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def origins() -> Iterator[list[str]]:
    """Two origins with an empty page each."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), EmptyPage) for _ in range(2)]
    with ExitStack() as stack:
        for server in servers:
            stack.enter_context(server)
            Thread(target=server.serve_forever).start()
            stack.callback(server.shutdown)
        yield [f"http://127.0.0.1:{server.server_port}" for server in servers]


@pytest.fixture(scope="module")
def sharing(origins: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service, which allows the first origin."""
    database = f"sqlite:///{tmp_path_factory.mktemp('cors')}/cors.db"
    with service(database, WEB_CONCURRENCY="1", CORS_ORIGINS=origins[0]) as running:
        yield running


@pytest.fixture(scope="module")
def user(sharing: Service) -> httpx.Response:
    """The response that created a user."""
    return httpx.post(f"{sharing.url}/users", json=ADA)


@pytest.fixture(params=[0, 1], ids=["allowed", "another"])
def is_allowed(request: pytest.FixtureRequest) -> bool:
    return request.param == 0


@pytest.fixture
def foreign(browser: Browser, origins: list[str], *, is_allowed: bool) -> Iterator[Page]:
    """A page of the allowed origin, or of the other one."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MILLISECONDS)
    page.goto(origins[0] if is_allowed else origins[1])
    yield page
    page.close()


def test_only_the_allowed_origin_changes_a_user_with_a_token_and_reads_the_entity_tag(
    foreign: Page, sharing: Service, user: httpx.Response, *, is_allowed: bool
) -> None:
    url = f"{sharing.url}{user.headers['Location']}"
    before = httpx.get(url)

    result = foreign.evaluate(CHANGE, [url, before.headers["ETag"]])

    after = httpx.get(url)
    if is_allowed:
        assert result[:2] == [200, after.headers["ETag"]]
        assert result[2]["data"] == after.json()["data"]
        assert after.json()["data"]["username"] == "Grace"
    else:
        assert result == "TypeError"
        assert after.headers["ETag"] == before.headers["ETag"]


def test_only_the_allowed_origin_reads_an_error(foreign: Page, sharing: Service, *, is_allowed: bool) -> None:
    status = foreign.evaluate(READ, [f"{sharing.url}/users/4000", "same-origin"])

    assert status == (404 if is_allowed else "TypeError")


def test_no_origin_reads_a_response_to_a_request_with_cookies(foreign: Page, sharing: Service) -> None:
    assert foreign.evaluate(READ, [f"{sharing.url}/ping", "include"]) == "TypeError"


def test_no_origin_embeds_a_response_without_asking(
    foreign: Page, sharing: Service, *, is_allowed: bool
) -> None:
    icon = f"{sharing.url}/ui/favicon-32x32.png"

    shown = [foreign.evaluate(SHOW, [icon, how]) for how in (None, "anonymous")]

    assert shown == ["blocked", "shown" if is_allowed else "blocked"]
