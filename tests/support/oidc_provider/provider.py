"""An issuer that others wrote: npm's `oidc-provider`, installed with the tools in build/node_modules."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from joserfc.jwk import ECKey, RSAKey

from tests.support.programs import Program, run

SERVER = Path(__file__).with_name("server.mjs")
AUDIENCE = "https://users.example"
CLIENT = {"id": "reports", "secret": "public-secret-of-the-tests-0123456789"}
SCOPES = "users:read users:write metrics:read"


class OidcProvider(Program):
    """Issues JWT access tokens (RFC 9068) to one client, signed with ES256 or RS256."""

    def __init__(self, folder: Path) -> None:
        """Choose a port and keys."""
        settings = {"issuer": "http://127.0.0.1:{port}", "audience": AUDIENCE, "client": CLIENT}
        super().__init__(folder, json.dumps(settings), "node", str(SERVER))
        self._file = folder / "configuration"
        self.url = f"http://127.0.0.1:{self.port}"
        self._choose_keys()

    def rotate(self) -> None:
        """Restart with other keys."""
        self.kill()
        self._choose_keys()
        self.start()

    def token(self, scope: str = SCOPES, algorithm: str = "ES256") -> str:
        """Return a new access token (RFC 6749, 4.4; RFC 8707)."""
        form = {
            "grant_type": "client_credentials",
            "scope": scope,
            "resource": f"urn:users-api:{algorithm}",
        }
        with httpx.Client(trust_env=False) as client:
            answer = client.post(f"{self.url}/token", data=form, auth=(CLIENT["id"], CLIENT["secret"]))
        return str(answer.raise_for_status().json()["access_token"])

    def _choose_keys(self) -> None:
        keys = [
            ECKey.generate_key("P-256").as_dict(private=True, use="sig", alg="ES256"),
            RSAKey.generate_key(2048).as_dict(private=True, use="sig", alg="RS256"),
        ]
        settings: dict[str, Any] = json.loads(self._file.read_text())
        self._file.write_text(json.dumps(settings | {"port": self.port, "keys": keys}))


@contextmanager
def oidc_provider(folder: Path) -> Iterator[OidcProvider]:
    """Yield a running issuer, and kill it afterwards."""
    with run(OidcProvider(folder)) as provider:
        yield provider
