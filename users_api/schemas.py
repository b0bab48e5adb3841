"""What crosses the wire: a column stays private until it is named here."""

from datetime import datetime
from typing import Any, Final

from marshmallow import fields
from marshmallow_sqlalchemy import SQLAlchemySchema, auto_field

from users_api.models import User


class UtcDateTime(fields.Field[datetime]):
    """A moment in UTC as RFC 3339 writes it, with `Z`."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str:  # noqa: ARG002 -- marshmallow's signature.
        return f"{value:%Y-%m-%dT%H:%M:%S.%f}Z"


class UserSchema(SQLAlchemySchema[User]):
    """A user as the document's `User` shows it."""

    class Meta:
        """What marshmallow-sqlalchemy reads the fields from."""

        model = User

    id = auto_field()
    username = auto_field()
    email = auto_field()
    active = auto_field()
    created_date = UtcDateTime()


user_schema: Final = UserSchema()  # type: ignore[no-untyped-call]  # the library leaves its constructor bare.
