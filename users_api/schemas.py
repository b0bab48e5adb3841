"""What crosses the wire: a column stays private until it is named here."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from marshmallow import fields
from marshmallow_sqlalchemy import SQLAlchemySchema, auto_field

from users_api.models import User


class UtcDateTime(fields.Field[datetime]):
    """A moment in UTC as RFC 3339 writes it, with `Z`, to the microsecond."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:  # noqa: ARG002 -- marshmallow's signature.
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z") if value else None


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


class RowDump:
    """Dumps rows that begin with the schema's fields, for orjson, which then writes what the schema would dump.

    The columns give numbers, texts and booleans as they are to be sent; marshmallow would look for each in three ways and convert
    it once more, which takes ten times as long. Moments orjson writes as the schema does, with OPT_UTC_Z: all but whole seconds
    and those of another zone.
    """

    def __init__(self, schema: SQLAlchemySchema[Any]) -> None:
        """Take the schema whose fields are dumped."""
        shown = [(field.data_key or name, field) for name, field in schema.dump_fields.items()]
        self._names = tuple(name for name, _ in shown)
        self._moments = [(name, field) for name, field in shown if isinstance(field, UtcDateTime)]

    def one(self, row: tuple[Any, ...]) -> dict[str, Any]:
        """Return what orjson writes as the row's JSON object."""
        return self.many([row])[0]

    def many(self, rows: Iterable[tuple[Any, ...]]) -> list[dict[str, Any]]:
        """Return the same for each row."""
        names = self._names
        dumped = [dict(zip(names, row)) for row in rows]  # noqa: B905 -- what follows the fields is not shown.
        for name, field in self._moments:
            for user in dumped:
                moment = user[name]
                if not moment.microsecond or moment.tzinfo is not UTC:
                    user[name] = field._serialize(moment, name, user)  # noqa: SLF001 -- what marshmallow has fields override.
        return dumped


user_schema: Final = UserSchema()  # type: ignore[no-untyped-call]  # the library leaves its constructor bare.
dump_user: Final = RowDump(user_schema)
