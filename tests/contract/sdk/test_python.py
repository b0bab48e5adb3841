"""The Python client, strictly type-checked, and used against the live server."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from users_api_client import AuthenticatedClient, Client
from users_api_client.api.health import ping
from users_api_client.api.users import create_user, delete_user, get_user, list_users, patch_user, update_user
from users_api_client.models import Failure, NewUser, Pong, Refusal, User, UserChange, UserReplacement
from users_api_client.types import UNSET, Response

from tests.contract.sdk.logging_in import log_in
from tests.contract.sdk.pages import LOG_IN, USE, example
from tests.support.secured import Credentials
from tests.support.service import Service

NUMBERS = count(1)
Add = Callable[..., tuple[User, str]]
Api = AuthenticatedClient | Client


@pytest.fixture
def api(server: Service, credentials: Credentials | None) -> Iterator[Api]:
    """A client of the live server, which logs in if the server requires it."""
    with log_in(server.url, credentials) if credentials else Client(server.url) as client:
        yield client


@pytest.fixture
def add(api: Api) -> Add:
    """Adds a user and returns it with its entity tag."""

    def add(username: str = "Ada") -> tuple[User, str]:
        added = create_user.sync_detailed(
            client=api, body=NewUser(username, f"ada.{next(NUMBERS)}@example.com")
        )
        return added.parsed.data, added.headers["ETag"]

    return add


def test_the_service_answers(api: Api) -> None:
    assert ping.sync(client=api) == Pong(status="success", message="pong")


def test_a_user_is_added_read_replaced_changed_and_removed(api: Api, add: Add) -> None:
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


def test_next_leads_through_all_pages(api: Api, add: Add) -> None:
    ids = [add("Ada paged")[0].id for _ in range(5)]

    found, link = [], "?after=0"
    while link is not None:
        [after] = parse_qs(urlsplit(link).query)["after"]
        page = list_users.sync(client=api, username="Ada paged", limit=2, after=int(after)).data
        found += [user.id for user in page.users]
        link = page.next_

    assert found == ids


def test_a_search_is_walked_forth_and_back(api: Api, add: Add) -> None:
    begun = datetime.now(UTC) - timedelta(minutes=1)
    names = [add(f"Searched {number}")[0].username for number in range(3)]

    first = list_users.sync(client=api, q="SEARCHED", limit=2).data
    place = {name: value for name, [value] in parse_qs(urlsplit(first.next_).query).items()}
    second = list_users.sync(
        client=api, q="SEARCHED", limit=2, after=int(place["after"]), key=place["key"]
    ).data
    place = {name: value for name, [value] in parse_qs(urlsplit(second.prev).query).items()}
    again = list_users.sync(
        client=api, q="SEARCHED", limit=2, before=int(place["before"]), key=place["key"]
    ).data
    newest = list_users.sync(client=api, created_after=begun, order="-created_date", limit=1).data

    assert [user.username for user in (*first.users, *second.users)] == names
    assert (again, first.prev) == (first, None)
    assert newest.users == second.users


def test_an_invalid_payload_lists_its_errors(api: Api) -> None:
    answer: Response[object] = create_user.sync_detailed(client=api, body=NewUser("a" * 129, "nobody"))

    assert answer.status_code == 400
    assert answer.parsed.message == "Invalid payload."
    assert sorted(error.field for error in answer.parsed.errors) == ["email", "username"]


def test_a_taken_address_has_no_errors(api: Api, add: Add) -> None:
    user, _ = add()

    answer = create_user.sync(client=api, body=NewUser("Eve", user.email))

    assert answer == Refusal(status="fail", message="Sorry. That email already exists.", errors=UNSET)


def test_a_stale_version_is_rejected(api: Api, add: Add) -> None:
    user, etag = add()
    patch_user.sync(user.id, client=api, body=UserChange(active=False), if_match=etag)

    answer = delete_user.sync_detailed(user.id, client=api, if_match=etag)

    assert (answer.status_code, answer.parsed) == (
        412,
        Failure(status="fail", message="Precondition failed."),
    )


@pytest.mark.parametrize("auth", ["none"], indirect=True)
def test_readme_s_example_works(server: Service, package: Path) -> None:
    program = [sys.executable, "-c", example(USE, "python", server.url)]

    first, second = (run(program, package) for _ in range(2))

    assert first.startswith("ada@example.org was added! ")
    assert second == "Refused: Sorry. That email already exists.\n"


@pytest.mark.parametrize("auth", ["required"], indirect=True)
def test_the_example_with_login_works(server: Service, package: Path, environment: dict[str, str]) -> None:
    program = [sys.executable, "-c", example(LOG_IN, "python", server.url)]

    answer = run(program, package, **environment)
    refusal = run(program, package, **environment | {"CLIENT_SECRET": "wrong"})

    assert re.fullmatch(r"\d+ users\n", answer)
    assert refusal == "Refused: The client is unknown or revoked, or its secret is wrong.\n"


def run(program: list[str], package: Path, **environment: str) -> str:
    """Run a program that uses the client, and return its output."""
    variables = os.environ | {"PYTHONPATH": str(package)} | environment
    return subprocess.run(program, env=variables, capture_output=True, text=True, check=True).stdout


def test_the_types_are_accurate(package: Path, tmp_path: Path) -> None:
    examples = [tmp_path / "use.py", tmp_path / "log_in.py"]
    for section, file in zip((USE, LOG_IN), examples, strict=True):
        file.write_text(example(section, "python"))
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", tmp_path / "cache"]
    checked = [package / "users_api_client", Path(__file__).with_name("typed.py"), *examples]

    environment = os.environ | {"MYPYPATH": str(package)}
    check = subprocess.run([*command, *checked], env=environment, capture_output=True, text=True, check=False)

    assert check.returncode == 0, check.stdout + check.stderr
