"""Swagger UI in a real browser."""

from pathlib import Path

import pytest
from playwright.sync_api import Error, Page, expect

from tests.contract.browser.picture import label, labelled
from tests.contract.browser.swagger_ui import PHONE, execute, open_operation, operations, width
from users_api.document import OPEN, load_document

DOCUMENT = load_document(OPEN)
OPERATIONS = operations(DOCUMENT)
pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


def words_of(page: Page) -> str:
    """Return the text of the page, independent of its layout."""
    return " ".join(page.locator("#swagger-ui").inner_text().split())


def test_the_root_leads_to_the_page(page: Page) -> None:
    answer = page.goto("/")

    assert (answer.status, page.url.removeprefix(answer.url)) == (200, "")
    assert answer.url.endswith("/ui/")
    assert page.title() == DOCUMENT["info"]["title"]
    expect(page.locator(".info .title")).to_contain_text(DOCUMENT["info"]["title"])


def test_the_page_has_an_icon(page: Page) -> None:
    page.goto("/ui/")

    icons = [link.get_attribute("href") for link in page.locator("link[rel=icon]").all()]

    answers = [page.request.get(f"/ui/{icon}") for icon in icons]
    assert [(answer.status, answer.headers["content-type"]) for answer in answers] == [(200, "image/png")] * 2


def test_every_operation_is_listed(page: Page, root: Path) -> None:
    page.goto("/ui/")

    blocks = page.locator(".opblock")
    expect(blocks).to_have_count(len(OPERATIONS))
    (root / "build" / "documentation.png").write_bytes(labelled(page.screenshot(), words_of(page)))

    listed = [
        (
            block.locator(".opblock-summary-method").inner_text(),
            block.locator(".opblock-summary-path").get_attribute("data-path"),
        )
        for block in blocks.all()
    ]
    assert sorted(listed) == sorted(operation[:2] for operation in OPERATIONS)


def test_readme_s_picture_is_current(page: Page, root: Path) -> None:
    page.goto("/ui/")
    expect(page.locator(".opblock")).to_have_count(len(OPERATIONS))

    assert label(words_of(page)) in (root / "docs" / "documentation.png").read_bytes(), "run `make picture`"


@pytest.mark.parametrize(("tag", "name"), [operation[2:] for operation in OPERATIONS])
def test_a_deep_link_opens_its_operation(page: Page, tag: str, name: str) -> None:
    block = open_operation(page, tag, name)

    expect(block).to_be_in_viewport()
    assert page.locator(".opblock.is-open").count() == 1


@pytest.mark.parametrize(("tag", "name"), [operation[2:] for operation in OPERATIONS])
def test_the_page_fits_a_phone(page: Page, tag: str, name: str) -> None:
    page.set_viewport_size(PHONE)

    open_operation(page, tag, name)

    assert width(page) == PHONE["width"]


def test_an_operation_opened_by_hand_gets_its_link(page: Page) -> None:
    page.goto("/ui/")

    page.locator("#operations-users-create_user .opblock-summary").click()

    page.wait_for_url("**/ui/#/users/create_user")


def test_a_user_is_created_and_read_back_through_the_page(page: Page) -> None:
    create = open_operation(page, "users", "create_user")
    create.locator("textarea.body-param__text").fill('{"username": "Hedy", "email": "hedy@example.org"}')
    created = execute(create, 201)

    number = created.partition('"id": ')[2].partition(",")[0]
    read = open_operation(page, "users", "get_user")
    read.locator("tr[data-param-name=user_id] input").fill(number)
    answer = execute(read, 200)

    assert '"message": "hedy@example.org was added!"' in created
    assert f'"id": {number}' in answer
    assert '"email": "hedy@example.org"' in answer


def test_the_page_s_policy_allows_its_own_files_only(page: Page, faults: list[str]) -> None:
    answer = page.goto("/ui/")

    policy = answer.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"} < set(policy)
    with pytest.raises(Error, match="Content Security Policy"):
        page.add_script_tag(content="document.title = 'Taken over'")
    assert page.title() == DOCUMENT["info"]["title"]
    faults.clear()
