"""All operations work in Swagger UI with their prefilled values on a seeded database."""

from collections.abc import Iterator

import psycopg2
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.contract.browser.swagger_ui import authorize, open_operation, operations
from tests.support.postgres import PostgreSQL
from tests.support.secured import Credentials, add_client, settings
from tests.support.service import Service, service
from users_api.document import AUTHENTICATION, OPEN, TOKEN_OPERATION, Parts, load_document, scopes

SUCCESS = "200", '"status": "success"'
SUCCESSES = {
    "create_user": ("201", '"status": "success"'),
    "read_metrics": ("200", "http_server_request_duration_seconds_count{"),
    "list_token_keys": ("200", '"kty": "EC"'),
}
REAL = [TOKEN_OPERATION]
"""The operations whose examples are not prefilled for success: an example has no real credentials."""


def prefilled(parts: Parts) -> list[object]:
    """Return the tag and name of each operation in the document with these parts."""
    found = operations(load_document(parts))
    return [pytest.param(each.tag, each.name, id=each.name) for each in found if each.name not in REAL]


@pytest.fixture(scope="module")
def started(auth: str, postgres: PostgreSQL) -> Iterator[Service]:
    """The real server on its own database, with a copy of the users that `seed_db` adds."""
    with service(postgres.create(f"users_prefilled_{auth}"), **settings(auth)) as running:
        running.command("seed_db")
        run(running, "CREATE TABLE seeded AS TABLE users")
        yield running


@pytest.fixture(scope="module")
def auth(request: pytest.FixtureRequest) -> str:
    """The value of AUTH."""
    return request.param


@pytest.fixture(scope="module")
def credentials(started: Service) -> Credentials:
    """The id and secret of a client with all scopes."""
    return add_client(started, *scopes())


@pytest.fixture
def server(started: Service) -> Service:
    """The real server; its database has the users that `seed_db` adds to an empty one."""
    run(started, "DELETE FROM users; INSERT INTO users OVERRIDING SYSTEM VALUE TABLE seeded")
    return started


def run(started: Service, statements: str) -> None:
    """Run SQL on the server's database."""
    with psycopg2.connect(started.environment["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute(statements)
    connection.close()


@pytest.mark.parametrize("auth", ["none"], indirect=True)
@pytest.mark.parametrize(("tag", "name"), prefilled(OPEN))
def test_an_operation_succeeds_with_its_prefilled_values(page: Page, tag: str, name: str) -> None:
    block = open_operation(page, tag, name)

    check_success(block, name)


@pytest.mark.parametrize("auth", ["required"], indirect=True)
@pytest.mark.parametrize(("tag", "name"), prefilled(Parts(rate_limits=False)))
def test_an_operation_succeeds_after_authorize(
    page: Page, credentials: Credentials, tag: str, name: str
) -> None:
    block = open_operation(page, tag, name)
    authorize(page, credentials)

    check_success(block, name)


@pytest.mark.parametrize("auth", ["required"], indirect=True)
def test_a_token_is_issued_for_the_real_id_and_secret(page: Page, credentials: Credentials) -> None:
    block = open_operation(page, AUTHENTICATION, TOKEN_OPERATION)
    block.get_by_role("textbox", name="client_id").fill(credentials.client_id)
    block.get_by_role("textbox", name="client_secret").fill(credentials.secret)

    block.get_by_role("button", name="Execute").click()

    expect(shown(block)).to_contain_text('"scope": "users:read"')


def check_success(block: Locator, name: str) -> None:
    """Send the request; the response on the page is that of a success, and has users if it is a list."""
    block.get_by_role("button", name="Execute").click()

    status, text = SUCCESSES.get(name, SUCCESS)
    expect(block.locator(".live-responses-table .response .response-col_status")).to_contain_text(status)
    expect(shown(block)).to_contain_text(text)
    expect(shown(block)).not_to_contain_text('"users": []')


def shown(block: Locator) -> Locator:
    """Return the body of the response on the page."""
    return block.locator(".live-responses-table .response .response-col_description pre").first
