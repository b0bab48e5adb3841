"""What a person does in Swagger UI: open an operation, execute it, authorize and log out."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from playwright.sync_api import Locator, Page, expect

from tests.support.secured import Credentials

PHONE = {"width": 390, "height": 844}
UNAUTHORIZED = "Failed to load resource: the server responded with a status of 401 (Unauthorized)"


class Operation(NamedTuple):
    """An operation of the document, as the page shows it."""

    method: str
    path: str
    tag: str
    name: str


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """Return the operations of the document."""
    return [
        Operation(method.upper(), path, operation["tags"][0], operation["operationId"])
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    ]


def open_operation(page: Page, tag: str, name: str) -> Locator:
    """Open the deep link of an operation and return its block."""
    page.goto("about:blank")
    page.goto(f"/ui/#/{tag}/{name}")
    block = page.locator(f"#operations-{tag}-{name}")
    expect(block.locator(".opblock-body")).to_be_visible()
    return block


def execute(block: Locator, status: int) -> str:
    """Send the request and return the body of the response on the page."""
    block.get_by_role("button", name="Execute").click()
    answer = block.locator(".live-responses-table .response")
    expect(answer.locator(".response-col_status")).to_contain_text(str(status))
    return answer.locator(".response-col_description pre").first.inner_text()


def open_dialog(page: Page) -> Locator:
    """Open the dialog of "Authorize" and return it."""
    page.locator(".auth-wrapper > .authorize").click()
    dialog = page.locator(".modal-ux")
    expect(dialog).to_be_visible()
    return dialog


def fill_in(dialog: Locator, credentials: Credentials, *scopes: str) -> None:
    """Fill in the id and secret, select scopes, and send the form."""
    dialog.get_by_label("client_id").fill(credentials.client_id)
    dialog.get_by_label("client_secret").fill(credentials.secret)
    for scope in scopes:
        dialog.locator("label", has_text=scope).click()
    dialog.get_by_role("button", name="Apply given OAuth2 credentials").click()


def authorize(page: Page, credentials: Credentials, *scopes: str) -> None:
    """Get a token with these scopes, or else with all scopes of the client."""
    dialog = open_dialog(page)
    fill_in(dialog, credentials, *scopes)
    close_authorized(dialog)


def close_authorized(dialog: Locator) -> None:
    """Close the dialog, which shows that the page is authorized."""
    expect(dialog.get_by_role("button", name="Remove authorization")).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


def log_out(page: Page) -> None:
    """Forget the token."""
    dialog = open_dialog(page)
    dialog.get_by_role("button", name="Remove authorization").click()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


def width(page: Page) -> int:
    """Return the width of the page's content."""
    return page.evaluate("document.documentElement.scrollWidth")
