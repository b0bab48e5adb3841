"""The clients that may get access tokens, each with an id, a secret and scopes."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import Engine, bindparam, insert, select, update

from users_api.access.claims import LEEWAY_SECONDS
from users_api.access.signing import TOKEN_SECONDS
from users_api.database import prepare, rows, transaction
from users_api.models import Client, utc_now

ID_BYTES: Final = 16
SECRET_BYTES: Final = 32
ID: Final = re.compile(f"[0-9a-f]{{{2 * ID_BYTES}}}")
CLOCK_DIFFERENCE: Final = timedelta(days=1)
"""By how much the clock of the machine that revokes a client may differ."""
TOKEN_LIFE: Final = timedelta(seconds=TOKEN_SECONDS + LEEWAY_SECONDS)
clients: Final = Client.__table__
FIND: Final = select(clients).where(clients.c.id == bindparam("client_id"), clients.c.revoked_date.is_(None))
REVOKED: Final = select(clients.c.id).where(clients.c.revoked_date > bindparam("since"))
LIST: Final = select(clients).order_by(clients.c.created_date, clients.c.id)


class Credentials(NamedTuple):
    """What a client sends for a token."""

    client_id: str
    secret: str


def add_client(name: str, scopes: Iterable[str]) -> Credentials:
    """Add a client with a random id and secret; the secret cannot be read later."""
    created = Credentials(secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES))
    values = {
        "id": created.client_id,
        "name": name,
        "secret_hash": _hash(created.secret),
        "scopes": " ".join(scopes),
    }
    with transaction() as connection:
        connection.execute(insert(clients), values)
    return created


def list_clients() -> Sequence[Any]:
    """Return all clients, in the order in which they were added."""
    with transaction() as connection:
        return connection.execute(LIST).all()


def revoke_client(client_id: str) -> str | None:
    """Revoke a client that is not revoked yet; return its name, or None if there is none."""
    change = (
        update(clients)
        .where(clients.c.id == client_id, clients.c.revoked_date.is_(None))
        .values(revoked_date=utc_now())
        .returning(clients.c.name)
    )
    with transaction() as connection:
        name: str | None = connection.execute(change).scalar()
    return name


def scopes_of(client_id: str, secret: str) -> list[str] | None:
    """Return the scopes of the client, or None if the client is unknown or revoked, or its secret wrong.

    The secret has 256 random bits, so that a plain hash of it cannot be searched (OWASP ASVS 5, 11.4.2 is
    about passwords).
    """
    if not ID.fullmatch(client_id):  # PostgreSQL has no text with NUL.
        return None
    for client in rows(FIND, client_id=client_id):
        if hmac.compare_digest(client.secret_hash, _hash(secret)):
            scopes: str = client.scopes
            return scopes.split(" ")
    return None


def revoked_client_ids(engine: Engine) -> frozenset[str]:
    """Return the clients that were revoked while tokens of theirs may still be valid."""
    since = utc_now() - TOKEN_LIFE - CLOCK_DIFFERENCE
    found = prepare(REVOKED, engine.dialect, ("since",)).run_alone(engine, {"since": since})
    return frozenset(client.id for client in found)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
