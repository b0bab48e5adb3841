"""Invalid Content-Length headers: the server rejects them, but other ASGI servers may pass them on."""

import pytest
from starlette.testclient import TestClient


@pytest.mark.parametrize("length", ["lO0I", "-1", b"\xb2", ""])
def test_an_invalid_length_is_ignored(client: TestClient, length: str | bytes) -> None:
    response = client.get("/ping", headers={"Content-Length": length})

    assert response.json() == {"status": "success", "message": "pong"}


def test_a_length_of_many_digits_is_too_large(client: TestClient) -> None:
    response = client.get("/ping", headers={"Content-Length": "9" * 5000})

    assert response.status_code == 413
