"""The parts of authentication are put together as the settings say."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from users_api.access import bearer
from users_api.access.keys import SigningKeys, generate_key
from users_api.access.revocations import RevocationsUnknown
from users_api.authentication import ExternalIssuerTokens, OwnTokens, create_authentication
from users_api.config import Config, SettingsError, load_settings
from users_api.server import protocol


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> type[Config]:
    """Settings of development with authentication."""
    for name in ("AUTH_ISSUER", "AUTH_AUDIENCE", "TOKEN_KEYS", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("APP_SETTINGS", "users_api.config.DevelopmentConfig")
    monkeypatch.setenv("AUTH", "required")
    return load_settings()


def own(settings: type[Config], instance: Path) -> OwnTokens:
    """Return the authentication by the service's own tokens."""
    created = create_authentication(settings, instance)
    assert isinstance(created, OwnTokens)
    return created


def test_without_authentication_there_is_none(
    settings: type[Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AUTH", "none")

    assert create_authentication(settings, tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_the_given_keys_sign(settings: type[Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keys = f"{generate_key()},{generate_key()}"
    monkeypatch.setenv("TOKEN_KEYS", keys)

    created = own(settings, tmp_path)

    assert [each["kid"] for each in created.signer.documents] == [
        each["kid"] for each in SigningKeys.parse(keys).public_documents()
    ]
    assert list(tmp_path.iterdir()) == []


def test_before_the_revoked_clients_are_read_no_token_is_accepted(
    settings: type[Config], tmp_path: Path
) -> None:
    created = own(settings, tmp_path)
    token = created.signer.issue("client", ["users:read"])
    headers = {b"authorization": f"Bearer {token}".encode()}

    with pytest.raises(RevocationsUnknown):
        created.tokens.find({"headers": list(headers.items())}, headers)


def test_development_creates_a_key_once(settings: type[Config], tmp_path: Path) -> None:
    folder = tmp_path / "instance"

    first, second = own(settings, folder), own(settings, folder)

    (file,) = folder.iterdir()
    assert first.signer.documents == second.signer.documents
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_processes_that_start_together_create_one_key(settings: type[Config], tmp_path: Path) -> None:
    barrier = Barrier(8)

    def start(_number: int) -> str:
        barrier.wait()
        return own(settings, tmp_path).signer.documents[0]["kid"]

    with ThreadPoolExecutor(8) as pool:
        kids = set(pool.map(start, range(8)))

    assert len(kids) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["token_keys"]


@pytest.mark.parametrize("content", ["", "not a key"])
def test_a_damaged_file_is_reported_in_one_line(settings: type[Config], tmp_path: Path, content: str) -> None:
    (tmp_path / "token_keys").write_text(content)

    with pytest.raises(SettingsError) as raised:
        create_authentication(settings, tmp_path)

    assert str(raised.value).startswith(f"Set TOKEN_KEYS, because {tmp_path / 'token_keys'} cannot be used: ")
    assert "\n" not in str(raised.value)


def test_a_folder_that_cannot_be_created_is_reported_in_one_line(
    settings: type[Config], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match="Set TOKEN_KEYS, because"):
        create_authentication(settings, tmp_path / "file")


def test_an_external_issuer_replaces_the_own_one(
    settings: type[Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AUTH_ISSUER", "https://issuer.example")
    monkeypatch.setenv("AUTH_AUDIENCE", "users")

    created = create_authentication(settings, tmp_path)

    assert isinstance(created, ExternalIssuerTokens)
    assert (created.signer, list(created.security_map)) == (None, ["openIdConnect"])
    assert list(tmp_path.iterdir()) == []


def test_the_server_and_bearer_use_the_same_key_for_connection_state() -> None:
    assert bearer.CONNECTION == protocol.CONNECTION
