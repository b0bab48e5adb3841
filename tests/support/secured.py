"""Services with AUTH=required that issue tokens to their own clients, and such clients."""

from typing import NamedTuple

from tests.support.service import Service
from users_api.access.keys import generate_key

ISSUING = {"TOKEN_RATE_LIMIT": "1000000/minute"}
"""Settings of a service whose tests ask for many tokens."""


class Credentials(NamedTuple):
    """The id and secret of a client."""

    client_id: str
    secret: str


def settings(auth: str) -> dict[str, str]:
    """Return the environment variables of a service with this value of AUTH."""
    return {"AUTH": auth} | (ISSUING | {"TOKEN_KEYS": generate_key()} if auth == "required" else {})


def add_client(running: Service, *scopes: str) -> Credentials:
    """Add a client with these scopes, as an operator does."""
    options = [word for scope in scopes for word in ("--scope", scope)]
    output = running.command("clients", "add", "test", *options)
    return Credentials(*output.split()[1::2])
