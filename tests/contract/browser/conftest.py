"""A real browser, and a page in it that must not have errors."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.service import Service

PATIENCE_MILLISECONDS = 60_000
SILENT = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=PATIENCE_MILLISECONDS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; CHROMIUM is the path of the program."""
    with sync_playwright() as playwright:
        program = shutil.which(os.environ.get("CHROMIUM", "chromium"))
        chromium = playwright.chromium.launch(
            executable_path=program, args=SILENT, timeout=PATIENCE_MILLISECONDS
        )
        yield chromium
        chromium.close()


@pytest.fixture
def faults() -> list[str]:
    """The errors so far: in the console of the page, and requests that failed or went to another host."""
    return []


@pytest.fixture
def page(browser: Browser, server: Service, faults: list[str]) -> Iterator[Page]:
    """An empty page; after the test it must not have errors."""
    page = browser.new_page(base_url=server.url, viewport={"width": 1100, "height": 1275})
    page.set_default_timeout(PATIENCE_MILLISECONDS)
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(f"failed: {request.url}"))
    page.on(
        "request",
        lambda request: None if own(request.url, server) else faults.append(f"elsewhere: {request.url}"),
    )
    yield page
    page.close()
    assert faults == []


def own(url: str, server: Service) -> bool:
    """Return whether the URL is one of the service, or a data URL."""
    return url.startswith((f"{server.url}/", "data:"))
