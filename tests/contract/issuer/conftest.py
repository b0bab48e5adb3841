"""A real issuer for all tests of this folder, each of which may rotate its keys."""

from collections.abc import Iterator

import pytest

from tests.support.oidc_provider.provider import OidcProvider, oidc_provider


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    """A running issuer."""
    with oidc_provider(tmp_path_factory.mktemp("issuer")) as running:
        yield running
