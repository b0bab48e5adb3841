"""A length that is none: the servers refuse it before it gets to the application, other callers by ASGI may not."""

import pytest
from starlette.testclient import TestClient


@pytest.mark.parametrize("length", ["lO0I", "-1", b"\xb2", ""])
def test_a_length_that_is_no_number_is_found_by_reading(client: TestClient, length: str | bytes) -> None:
    answer = client.get("/ping", headers={"Content-Length": length})

    assert answer.json() == {"status": "success", "message": "pong"}


def test_a_length_of_many_digits_is_too_large(client: TestClient) -> None:
    answer = client.get("/ping", headers={"Content-Length": "9" * 5000})

    assert answer.status_code == 413
