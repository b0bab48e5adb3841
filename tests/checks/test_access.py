"""Where access tokens come from, a real issuer that fails, and what browsers may do."""

from collections.abc import Callable, Iterator

import pytest

from tests.checks.outcome import Outcome
from tests.support.issuers import BROKEN, JWKS, METADATA, NOT_FOUND, ControlledIssuer, document, in_thread

Check = Callable[..., Outcome]


@pytest.fixture
def issuer() -> Iterator[ControlledIssuer]:
    """An issuer that works."""
    with in_thread(ControlledIssuer()) as running:
        yield running


def of(issuer: ControlledIssuer) -> dict[str, str]:
    """Return the settings of a service that accepts the issuer's tokens."""
    return {"AUTH": "required", "AUTH_ISSUER": issuer.url, "AUTH_AUDIENCE": "users-api"}


def test_the_keys_of_the_issuer_are_fetched_once(check: Check, issuer: ControlledIssuer) -> None:
    found = check(**of(issuer))

    assert found["access.tokens"] == [("ok", f"1 key of {issuer.url}")]
    assert issuer.requests == [METADATA, JWKS]


def test_an_issuer_without_metadata_is_a_problem(check: Check, issuer: ControlledIssuer) -> None:
    issuer.everywhere = NOT_FOUND

    found = check(**of(issuer))

    assert found["access.tokens"][0][0] == "problem"
    assert f"{issuer.url}{METADATA}: the status is 404" in found["access.tokens"][0][1]
    assert found.advice("access.tokens")[0].startswith("Compare AUTH_ISSUER with the `issuer`")


def test_metadata_of_another_issuer_is_a_problem(check: Check, issuer: ControlledIssuer) -> None:
    issuer.everywhere = document(issuer.metadata(issuer="https://other.example"))

    found = check(**of(issuer))

    assert "the metadata is of 'https://other.example'" in found["access.tokens"][0][1]


def test_an_issuer_without_keys_is_a_problem(check: Check, issuer: ControlledIssuer) -> None:
    issuer.responses[JWKS] = BROKEN

    assert check(**of(issuer))["access.tokens"] == [("problem", f"{issuer.url}{JWKS}: the status is 500")]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"AUTH": "none"}, "none needed: AUTH=none lets each client read and change all users"),
        ({"AUTH": "required", "TOKEN_KEYS": "1" * 64}, "issued by the service, 1 key in TOKEN_KEYS"),
        (
            {"AUTH": "required", "TOKEN_KEYS": f"{'1' * 64},{'2' * 64}"},
            "issued by the service, 2 keys in TOKEN_KEYS",
        ),
        (
            {"AUTH": "required", "APP_SETTINGS": "users_api.config.DevelopmentConfig"},
            "issued by the service, with a key in its instance folder",
        ),
    ],
)
def test_the_source_of_tokens_is_named(check: Check, settings: dict[str, str], text: str) -> None:
    assert check(**settings)["access.tokens"] == [("ok", text)]


@pytest.mark.parametrize(
    ("settings", "findings"),
    [
        ({}, [("ok", "users.example.org; no other origins")]),
        ({"ALLOWED_HOSTS": "*"}, [("warning", "every host is allowed, without access tokens")]),
        ({"CORS_ORIGINS": "*"}, [("warning", "every origin is allowed, without access tokens")]),
        (
            {"ALLOWED_HOSTS": "*", "CORS_ORIGINS": "*", "AUTH": "required", "TOKEN_KEYS": "1" * 64},
            [("ok", "every host; every origin")],
        ),
    ],
)
def test_pages_that_can_use_the_service_are_named(
    check: Check, settings: dict[str, str], findings: list[tuple[str, str]]
) -> None:
    assert check(**settings)["access.hosts"] == findings
