"""The rows of the operations table: each success and each failure, with its exact message."""

from collections.abc import Callable
from typing import Any

from starlette.testclient import TestClient

MakeUser = Callable[..., dict[str, Any]]


def test_an_email_belongs_to_one_user(client: TestClient, make_user: MakeUser) -> None:
    make_user(email="ada@example.org")

    again = client.post("/users", json={"username": "Eve", "email": "ADA@example.org"})

    assert again.status_code == 400
    assert again.json() == {"status": "fail", "message": "Sorry. That email already exists."}
