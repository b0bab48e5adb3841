"""The fields of responses; a column is private unless a schema names it."""

from datetime import UTC, datetime
from typing import Any, Final

from marshmallow import fields
from marshmallow_sqlalchemy import SQLAlchemySchema, auto_field

from users_api.engine.dump import compile_dump
from users_api.models import User


def rfc3339(value: datetime) -> str:
    """Return the timestamp in UTC as RFC 3339 writes it, with `Z` and microseconds."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class UtcDateTime(fields.Field[datetime]):
    """A UTC timestamp in the format of RFC 3339, with `Z` and microseconds."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:  # noqa: ARG002 -- marshmallow's signature.
        return rfc3339(value) if value else None

    @staticmethod
    def is_native_to_orjson(value: Any) -> bool:
        """Return whether orjson formats the timestamp identically; it omits microseconds that are 0."""
        return type(value) is datetime and value.tzinfo is UTC and value.microsecond != 0


class UserSchema(SQLAlchemySchema[User]):
    """A user, with the properties of the document's `User`."""

    class Meta:
        """The model from which marshmallow-sqlalchemy derives the fields."""

        model = User

    id = auto_field()
    username = auto_field()
    email = auto_field()
    active = auto_field()
    created_date = UtcDateTime()


dump_user: Final = compile_dump(UserSchema())  # type: ignore[no-untyped-call]  # the library's constructor has no annotations.
