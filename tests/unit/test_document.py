"""The document has the parts that the service is configured for, and nothing else refers to the others."""

from typing import Any

import pytest

from users_api.document import OPEN, Parts, load_document, scopes
from users_api.engine.document import Document

ISSUER = "https://issuer.example/"
VARIANTS = {
    "nothing": OPEN,
    "authentication": Parts(rate_limits=False),
    "issuer": Parts(issuer=ISSUER, rate_limits=False),
    "rate limits": Parts(authentication=False),
    "everything": Parts(),
    "issuer and rate limits": Parts(issuer=ISSUER),
}


def statuses(document: dict[str, Any]) -> dict[str, set[str]]:
    """Return the statuses of each operation."""
    return {
        node.operation["operationId"]: set(node.operation["responses"])
        for node in Document(document).operations()
    }


@pytest.mark.parametrize("parts", VARIANTS.values(), ids=VARIANTS)
def test_every_variant_is_a_consistent_document(parts: Parts) -> None:
    document = load_document(parts)

    operations = list(Document(document).operations())
    used = {tag for node in operations for tag in node.operation["tags"]}

    assert [tag["name"] for tag in document["tags"] if tag["name"] not in used] == []
    assert "ping" in statuses(document)


def test_without_authentication_nothing_of_it_is_left() -> None:
    text = str(load_document(OPEN))

    assert [word for word in ("oauth", "Bearer", "401", "403", "jwks", "token") if word in text] == []


def test_without_rate_limits_no_operation_returns_429() -> None:
    assert [name for name, found in statuses(load_document(OPEN)).items() if "429" in found] == []


def test_the_token_endpoint_always_has_a_rate_limit() -> None:
    found = statuses(load_document(Parts(rate_limits=False)))

    assert [name for name, each in found.items() if "429" in each] == ["issue_token"]


def test_an_external_issuer_replaces_the_operations_of_the_own_one() -> None:
    document = load_document(Parts(issuer=ISSUER))

    listed = "\n".join(f"- `{name}`: {meaning}" for name, meaning in scopes().items())
    assert document["components"]["securitySchemes"] == {
        "oauth": {
            "type": "openIdConnect",
            "description": (
                f"An access token of https://issuer.example/ with the scope of the operation:\n\n{listed}"
            ),
            "openIdConnectUrl": "https://issuer.example/.well-known/openid-configuration",
        }
    }
    assert [path for path in document["paths"] if "oauth" in path or "jwks" in path] == []
    assert document["paths"]["/users"]["get"]["security"] == [{"oauth": ["users:read"]}]


def test_components_are_kept_if_anything_else_refers_to_them() -> None:
    everything, nothing = load_document()["components"], load_document(OPEN)["components"]

    assert set(everything["schemas"]) - set(nothing["schemas"]) == {
        "Base64Of32Bytes",
        "Token",
        "TokenKey",
        "TokenKeys",
        "TokenRefusal",
        "TokenRequest",
    }
    assert nothing["parameters"] == everything["parameters"]


def test_the_scopes_are_those_of_the_scheme() -> None:
    assert {"users:read", "users:write", "metrics:read"} <= scopes().keys()
