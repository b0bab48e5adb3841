"""The Python client, strictly type-checked, and used against the live server."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from users_api_client import Client
from users_api_client.api.health import ping
from users_api_client.api.users import create_user, delete_user, get_user, list_users, patch_user, update_user
from users_api_client.models import Failure, NewUser, Pong, Refusal, User, UserChange, UserReplacement
from users_api_client.types import UNSET, Response

from tests.contract.sdk.readme import example
from tests.support.service import Service

NUMBERS = count(1)
Add = Callable[..., tuple[User, str]]


@pytest.fixture
def api(server: Service) -> Iterator[Client]:
    """A client of the live server."""
    with Client(server.url) as client:
        yield client


@pytest.fixture
def add(api: Client) -> Add:
    """Adds a user and returns it with its entity tag."""

    def add(username: str = "Ada") -> tuple[User, str]:
        added = create_user.sync_detailed(
            client=api, body=NewUser(username, f"ada.{next(NUMBERS)}@example.com")
        )
        return added.parsed.data, added.headers["ETag"]

    return add


@pytest.fixture
def package(root: Path) -> Path:
    """The directory of the client's package."""
    return root / "build" / "sdk" / "python"


def test_the_service_answers(api: Client) -> None:
    assert ping.sync(client=api) == Pong(status="success", message="pong")


def test_a_user_is_added_read_replaced_changed_and_removed(api: Client, add: Add) -> None:
    user, etag = add()
    wanted = User(user.id, "Lovelace", user.email, active=False, created_date=user.created_date)

    unchanged = get_user.sync_detailed(user.id, client=api, if_none_match=etag)
    replaced = update_user.sync(
        user.id, client=api, body=UserReplacement("Lovelace", user.email), if_match=etag
    )
    changed = patch_user.sync(user.id, client=api, body=UserChange(active=False))
    read = get_user.sync(user.id, client=api)
    removed = delete_user.sync(user.id, client=api)
    gone = get_user.sync_detailed(user.id, client=api)

    assert unchanged.status_code == 304
    assert replaced.message == f"{user.id} was updated!"
    assert (changed.data, read.data) == (wanted, wanted)
    assert removed.message == f"{user.email} was removed!"
    assert (gone.status_code, gone.parsed) == (404, Failure(status="fail", message="User does not exist"))


def test_next_leads_through_all_pages(api: Client, add: Add) -> None:
    ids = [add("Ada paged")[0].id for _ in range(5)]

    found, link = [], "?after=0"
    while link is not None:
        [after] = parse_qs(urlsplit(link).query)["after"]
        page = list_users.sync(client=api, username="Ada paged", limit=2, after=int(after)).data
        found += [user.id for user in page.users]
        link = page.next_

    assert found == ids


def test_an_invalid_payload_lists_its_errors(api: Client) -> None:
    answer: Response[object] = create_user.sync_detailed(client=api, body=NewUser("a" * 129, "nobody"))

    assert answer.status_code == 400
    assert answer.parsed.message == "Invalid payload."
    assert sorted(error.field for error in answer.parsed.errors) == ["email", "username"]


def test_a_taken_address_has_no_errors(api: Client, add: Add) -> None:
    user, _ = add()

    answer = create_user.sync(client=api, body=NewUser("Eve", user.email))

    assert answer == Refusal(status="fail", message="Sorry. That email already exists.", errors=UNSET)


def test_a_stale_version_is_rejected(api: Client, add: Add) -> None:
    user, etag = add()
    patch_user.sync(user.id, client=api, body=UserChange(active=False), if_match=etag)

    answer = delete_user.sync_detailed(user.id, client=api, if_match=etag)

    assert (answer.status_code, answer.parsed) == (
        412,
        Failure(status="fail", message="Precondition failed."),
    )


def test_readme_s_example_works(server: Service, package: Path) -> None:
    program = [sys.executable, "-c", example("python", server.url)]

    first, second = (
        subprocess.run(
            program, env=os.environ | {"PYTHONPATH": str(package)}, capture_output=True, text=True, check=True
        )
        for _ in range(2)
    )

    assert first.stdout.startswith("ada@example.org was added! ")
    assert second.stdout == "Refused: Sorry. That email already exists.\n"


def test_the_types_are_accurate(package: Path, tmp_path: Path) -> None:
    readme = tmp_path / "readme.py"
    readme.write_text(example("python", "http://127.0.0.1:5000"))
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", tmp_path / "cache"]
    checked = [package / "users_api_client", Path(__file__).with_name("typed.py"), readme]

    environment = os.environ | {"MYPYPATH": str(package)}
    check = subprocess.run([*command, *checked], env=environment, capture_output=True, text=True, check=False)

    assert check.returncode == 0, check.stdout + check.stderr
