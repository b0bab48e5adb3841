"""A client's id and secret are read from HTTP Basic authentication."""

import base64
from types import SimpleNamespace
from typing import Any

import pytest
from connexion.security import NO_VALUE

from users_api.access.basic import BasicCredentials

EMPTY = {"client_id": "", "client_secret": ""}


def read(*values: bytes) -> Any:
    """Return the credentials of a request with these Authorization headers."""
    scope = {"headers": [(b"host", b"here"), *((b"authorization", value) for value in values)]}
    return BasicCredentials().get_fn({}, [])(SimpleNamespace(scope=scope))


def basic(text: str) -> bytes:
    """Return the header for this id and secret."""
    return b"Basic " + base64.b64encode(text.encode())


@pytest.mark.parametrize(
    ("text", "client_id", "secret"),
    [
        ("a:b", "a", "b"),
        ("a:b:c", "a", "b:c"),
        ("a%3Ab:c+d%25", "a:b", "c d%"),
        (":", "", ""),
        ("a", "a", ""),
    ],
)
def test_the_id_and_the_secret_are_form_encoded(text: str, client_id: str, secret: str) -> None:
    assert read(basic(text)) == {"client_id": client_id, "client_secret": secret}


@pytest.mark.parametrize("value", [b"Basic", b"Basic !", b"basic /w==", b"Basic YTpi\n", b"BASIC Y"])
def test_malformed_credentials_are_empty(value: bytes) -> None:
    assert read(value) == EMPTY


def test_two_headers_are_malformed() -> None:
    assert read(basic("a:b"), basic("a:b")) == read(basic("a:b"), b"Bearer x") == EMPTY


@pytest.mark.parametrize("values", [[], [b"Bearer x"], [b"Basicx"]])
def test_other_requests_have_no_credentials(values: list[bytes]) -> None:
    assert read(*values) is NO_VALUE
