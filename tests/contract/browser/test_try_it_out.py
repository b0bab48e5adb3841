"""All operations work in Swagger UI with their prefilled values on a seeded database."""

from collections.abc import Iterator

import psycopg2
import pytest
from playwright.sync_api import Page, expect

from tests.contract.browser.test_page import OPERATIONS, open_operation
from tests.support.postgres import PostgreSQL
from tests.support.service import Service, service

SUCCESSES = {"create_user": "201"}


@pytest.fixture(scope="module")
def started(postgres: PostgreSQL) -> Iterator[Service]:
    """The real server on its own database."""
    with service(postgres.create("users_prefilled")) as running:
        yield running


@pytest.fixture
def server(started: Service) -> Service:
    """The real server; `seed_db` has filled its empty database."""
    with psycopg2.connect(started.environment["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute("TRUNCATE users RESTART IDENTITY")
    connection.close()
    started.command("seed_db")
    return started


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
