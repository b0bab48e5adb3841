"""Swagger UI of a service that requires access tokens: its own, and those of an external issuer."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.contract.browser.swagger_ui import (
    PHONE,
    UNAUTHORIZED,
    authorize,
    close_authorized,
    execute,
    fill_in,
    log_out,
    open_dialog,
    open_operation,
    width,
)
from tests.support.issued import Issued, external_issuer
from tests.support.postgres import PostgreSQL
from tests.support.secured import Credentials, add_client, settings
from tests.support.service import Service, service
from users_api.document import AUTHENTICATION, TOKEN_OPERATION

FORBIDDEN = "Failed to load resource: the server responded with a status of 403 (Forbidden)"
BAD_REQUEST = "Failed to load resource: the server responded with a status of 400 (Bad Request)"


@pytest.fixture(scope="module")
def own(postgres: PostgreSQL) -> Iterator[Service]:
    """A service that issues its own tokens."""
    with service(postgres.create("users_authorize"), **settings("required")) as running:
        yield running


@pytest.fixture(scope="module")
def credentials(own: Service) -> Credentials:
    """The id and secret of a client that may read and change users."""
    return add_client(own, "users:read", "users:write")


@pytest.fixture(scope="module")
def external(postgres: PostgreSQL) -> Iterator[Issued]:
    """A service with an external issuer."""
    with external_issuer(postgres.create("users_external")) as issued:
        yield issued


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Service:
    """The service that the page belongs to: of the external issuer if the test uses it."""
    if "external" in request.fixturenames:
        return request.getfixturevalue("external").running
    return request.getfixturevalue("own")


def expected(faults: list[str], *errors: str) -> None:
    """Remove the errors from the faults, which are all that there are."""
    assert faults == [*errors]
    faults.clear()


def test_without_authorize_an_operation_shows_401(page: Page, faults: list[str]) -> None:
    block = open_operation(page, "users", "list_users")

    answer = execute(block, 401)

    assert '"message": "Authentication required."' in answer
    expected(faults, UNAUTHORIZED)


def test_authorize_lasts_until_logout(page: Page, faults: list[str], credentials: Credentials) -> None:
    block = open_operation(page, "users", "list_users")

    authorize(page, credentials, "users:read", "users:write")
    listed = execute(block, 200)
    log_out(page)
    refused = execute(block, 401)

    assert '"status": "success"' in listed
    assert '"message": "Authentication required."' in refused
    expected(faults, UNAUTHORIZED)


def test_a_token_has_the_selected_scopes_only(
    page: Page, faults: list[str], credentials: Credentials
) -> None:
    block = open_operation(page, "users", "delete_user")
    authorize(page, credentials, "users:read")

    answer = execute(block, 403)

    assert '"message": "Insufficient scope."' in answer
    expected(faults, FORBIDDEN)


def test_without_a_selected_scope_a_token_has_all_scopes_of_the_client(
    page: Page, credentials: Credentials
) -> None:
    block = open_operation(page, "users", "create_user")
    authorize(page, credentials)

    answer = execute(block, 201)

    assert '"status": "success"' in answer


@pytest.mark.parametrize("wrong", ["client_id", "secret"])
def test_the_dialog_shows_that_an_id_or_secret_is_wrong(
    page: Page, faults: list[str], credentials: Credentials, wrong: str
) -> None:
    page.goto("/ui/")
    dialog = open_dialog(page)

    fill_in(dialog, credentials._replace(**{wrong: "wrong"}))

    # The browser's own password prompt would hold back the response.
    expect(dialog.locator(".errors")).to_contain_text(
        "invalid_client, description: The client is unknown or revoked, or its secret is wrong."
    )
    expected(faults, UNAUTHORIZED)
    fill_in(dialog, credentials)
    close_authorized(dialog)


def test_the_dialog_shows_that_the_client_may_not_have_a_scope(
    page: Page, faults: list[str], credentials: Credentials
) -> None:
    page.goto("/ui/")
    dialog = open_dialog(page)

    fill_in(dialog, credentials, "metrics:read")

    expect(dialog.locator(".errors")).to_contain_text("The client may not have this scope.")
    expected(faults, BAD_REQUEST)


def test_the_dialog_has_one_form(page: Page) -> None:
    page.goto("/ui/")

    dialog = open_dialog(page)

    expect(dialog.locator("h4")).to_have_count(1)
    expect(dialog.get_by_label("client_id")).to_be_in_viewport()


def test_the_example_s_secret_is_refused_without_a_prompt(page: Page, faults: list[str]) -> None:
    block = open_operation(page, AUTHENTICATION, TOKEN_OPERATION)

    answer = execute(block, 401)

    assert '"error": "invalid_client"' in answer
    expected(faults, UNAUTHORIZED)


def test_the_dialog_fits_a_phone(page: Page, faults: list[str], credentials: Credentials) -> None:
    page.set_viewport_size(PHONE)
    page.goto("/ui/")

    dialog = open_dialog(page)
    fill_in(dialog, credentials._replace(secret="wrong"))
    expect(dialog.locator(".errors")).to_be_visible()

    content = dialog.locator(".modal-ux-content")
    assert width(page) == PHONE["width"]
    assert content.evaluate("each => each.scrollWidth - each.clientWidth") == 0
    assert content.bounding_box()["height"] < PHONE["height"]
    expected(faults, UNAUTHORIZED)


@pytest.mark.parametrize("name", [TOKEN_OPERATION, "list_token_keys"])
def test_the_page_fits_a_phone(page: Page, name: str) -> None:
    page.set_viewport_size(PHONE)

    open_operation(page, AUTHENTICATION, name)

    assert width(page) == PHONE["width"]


def test_a_token_of_an_external_issuer_is_pasted(page: Page, faults: list[str], external: Issued) -> None:
    block = open_operation(page, "users", "list_users")
    dialog = open_dialog(page)
    expect(dialog).to_contain_text(f"An access token of {external.parts.issuer} with the scope")
    expect(dialog.locator("li")).to_contain_text(["users:read", "users:write", "metrics:read"])

    dialog.get_by_label("auth-bearer-value").fill(external.tokens["users:read"])
    dialog.get_by_role("button", name="Apply credentials").click()
    close_authorized(dialog)
    listed = execute(block, 200)
    log_out(page)
    refused = execute(block, 401)

    assert '"status": "success"' in listed
    assert '"message": "Authentication required."' in refused
    expected(faults, UNAUTHORIZED)


def test_the_dialog_for_an_external_token_fits_a_phone(page: Page, external: Issued) -> None:
    page.set_viewport_size(PHONE)
    page.goto("/ui/")

    content = open_dialog(page).locator(".modal-ux-content")

    assert content.evaluate("each => each.scrollWidth - each.clientWidth") == 0
    assert width(page) == PHONE["width"]
