"""The tables; their constraints reject invalid rows."""

import random
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Identity,
    Index,
    Integer,
    SmallInteger,
    String,
    TypeDecorator,
    bindparam,
    event,
    func,
    literal_column,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from users_api.database import ascii_lower, db

LARGEST_ID: Final = 9007199254740991
LONGEST_USERNAME: Final = 128
LONGEST_EMAIL: Final = 128
LONGEST_CLIENT_ID: Final = 32
LONGEST_CLIENT_NAME: Final = 128
LONGEST_SCOPES: Final = 1024
SHA256_HEX_DIGITS: Final = 64
VERSION_BITS: Final = 31


class UtcDateTimeType(TypeDecorator[datetime]):
    """A UTC timestamp for SQLite, which stores no time zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Return the timestamp in UTC."""
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Return the timestamp with UTC as its zone."""
        return value and value.replace(tzinfo=UTC)


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def random_version() -> int:
    """Return a random version, from 0 to 2,147,483,647.

    After a restore, a new version equals a lost one with a probability of one in a billion; a counter would
    repeat the lost versions.
    """
    return random.getrandbits(VERSION_BITS)


def date_time() -> TypeEngine[datetime]:
    """Return the type of a column of UTC timestamps."""
    return DateTime(timezone=True).with_variant(UtcDateTimeType, "sqlite")


class User(db.Model):  # type: ignore[name-defined,misc]  # Flask-SQLAlchemy creates this base at run time.
    """A user of the directory; each update changes `version` to another random one."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), Identity(maxvalue=LARGEST_ID), primary_key=True
    )
    username: Mapped[str] = mapped_column(String(LONGEST_USERNAME))
    email: Mapped[str] = mapped_column(
        String(LONGEST_EMAIL).with_variant(String(LONGEST_EMAIL, collation="C"), "postgresql")
    )
    active: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    created_date: Mapped[datetime] = mapped_column(date_time(), default=utc_now, server_default=func.now())
    version: Mapped[int] = mapped_column(Integer, default=random_version, server_default=text("1"))

    __table_args__ = (
        CheckConstraint(f"id BETWEEN 1 AND {LARGEST_ID}", name="id"),
        CheckConstraint(f"length(username) BETWEEN 1 AND {LONGEST_USERNAME}", name="username"),
        CheckConstraint(f"length(email) BETWEEN 1 AND {LONGEST_EMAIL}", name="email"),
        # Python has no later or earlier dates; a day at each end is left for the time zone of the session.
        CheckConstraint(
            "created_date >= '0001-01-02 00:00:00+00' AND created_date < '9999-12-31 00:00:00+00'",
            name="created_date",
        ).ddl_if(dialect="postgresql"),
        Index("uq_users_email", func.lower(email), unique=True),
        Index("ix_users_username_active_id", "username", "active", "id"),
        Index("ix_users_active_id", "active", "id"),
        Index("ix_users_active_created_date_id", "active", "created_date", "id"),
        Index("ix_users_active_lower_username_id", "active", ascii_lower(username), "id"),
        Index(
            "ix_users_active_common_prefix_lower_email_id",
            "active",
            func.users_common_prefix(username, email, type_=SmallInteger),
            func.lower(email),
            "id",
        ).ddl_if(dialect="postgresql"),
        {"sqlite_autoincrement": True},
    )


# Counts the characters with which the folded username and email of a user both begin. A prefix that is longer
# matches at most one of them. PL/pgSQL is not inlined: planning copies the expressions of all indexes.
COMMON_PREFIX: Final = """
CREATE OR REPLACE FUNCTION users_common_prefix(username text, email text) RETURNS smallint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    one text := lower(username COLLATE "C");
    other text := lower(email COLLATE "C");
BEGIN
    FOR length IN 1 .. greatest(length(one), length(other)) LOOP
        IF left(one, length) <> left(other, length) THEN RETURN length - 1; END IF;
    END LOOP;
    RETURN greatest(length(one), length(other));
END $$
"""
event.listen(
    User.__table__,
    "before_create",
    DDL(COMMON_PREFIX).execute_if(dialect="postgresql"),  # type: ignore[no-untyped-call]
)


class Client(db.Model):  # type: ignore[name-defined,misc]  # as above.
    """A client that may get access tokens; only a hash of its secret is stored.

    A revoked client keeps its row, which ends its tokens. Names may repeat, so that a client can be replaced.
    """

    __tablename__ = "clients"

    id: Mapped[str] = mapped_column(String(LONGEST_CLIENT_ID), primary_key=True)
    name: Mapped[str] = mapped_column(String(LONGEST_CLIENT_NAME))
    secret_hash: Mapped[str] = mapped_column(String(SHA256_HEX_DIGITS))
    scopes: Mapped[str] = mapped_column(String(LONGEST_SCOPES))
    created_date: Mapped[datetime] = mapped_column(date_time(), default=utc_now, server_default=func.now())
    revoked_date: Mapped[datetime | None] = mapped_column(date_time())

    __table_args__ = (
        CheckConstraint(f"length(id) = {LONGEST_CLIENT_ID}", name="id"),
        CheckConstraint(f"length(name) BETWEEN 1 AND {LONGEST_CLIENT_NAME}", name="name"),
        CheckConstraint(f"length(secret_hash) = {SHA256_HEX_DIGITS}", name="secret_hash"),
        CheckConstraint(f"length(scopes) BETWEEN 1 AND {LONGEST_SCOPES}", name="scopes"),
        Index("ix_clients_revoked_date", "revoked_date"),
    )


class Import(db.Model):  # type: ignore[name-defined,misc]  # as above.
    """How far an import of users has come; each batch advances it in its own transaction.

    The id is a hash of the format and the beginning of the file, the digest one of all bytes that are stored.
    """

    __tablename__ = "imports"

    id: Mapped[str] = mapped_column(String(SHA256_HEX_DIGITS), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str] = mapped_column(String(SHA256_HEX_DIGITS))
    lines: Mapped[int] = mapped_column(BigInteger)
    added: Mapped[int] = mapped_column(BigInteger)
    updated: Mapped[int] = mapped_column(BigInteger)
    skipped: Mapped[int] = mapped_column(BigInteger)
    rejected: Mapped[int] = mapped_column(BigInteger)
    rejected_bytes: Mapped[int | None] = mapped_column(BigInteger)
    finished_date: Mapped[datetime | None] = mapped_column(date_time())

    __table_args__ = (
        CheckConstraint(f"length(id) = {SHA256_HEX_DIGITS}", name="id"),
        CheckConstraint(f"length(digest) = {SHA256_HEX_DIGITS}", name="digest"),
    )


# Subtracting the parity of the current version from an odd number flips that parity: the new version differs.
NEXT_VERSION: Final = bindparam("odd_version", type_=Integer) - User.version % literal_column("2")


def etag(user: Any) -> str:
    """Return a user's entity tag without quotes; its timestamp differs even if `recreate_db` reuses ids."""
    return f"{user.version}-{round(user.created_date.timestamp() * 1_000_000):x}"
