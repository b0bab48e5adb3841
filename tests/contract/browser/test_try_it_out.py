"""All operations work in Swagger UI with their prefilled values on a seeded database."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.contract.browser.test_page import OPERATIONS, open_operation
from tests.support.postgres import PostgreSQL
from tests.support.service import Service, service

SUCCESSES = {"create_user": "201"}


@pytest.fixture
def server(postgres: PostgreSQL, request: pytest.FixtureRequest) -> Iterator[Service]:
    """The real server on its own database, filled by `seed_db`."""
    with service(postgres.create(f"users_{request.node.callspec.id}")) as running:
        running.command("seed_db")
        yield running


@pytest.mark.parametrize(
    ("tag", "name"), [pytest.param(*operation[2:], id=operation[3]) for operation in OPERATIONS]
)
def test_an_operation_succeeds_with_its_prefilled_values(page: Page, tag: str, name: str) -> None:
    block = open_operation(page, tag, name)

    block.get_by_role("button", name="Execute").click()

    response = block.locator(".live-responses-table .response")
    expect(response.locator(".response-col_status")).to_contain_text(SUCCESSES.get(name, "200"))
    expect(response.locator(".response-col_description pre").first).to_contain_text('"status": "success"')
    expect(response.locator(".response-col_description pre").first).not_to_contain_text('"users": []')
