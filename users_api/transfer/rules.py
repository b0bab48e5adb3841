"""Checks records by the rules of the document, with the messages of the API."""

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from users_api.document import document_path
from users_api.engine.document import Document
from users_api.engine.failures import FieldError, InvalidPayload
from users_api.engine.payloads import JsonBody, Options
from users_api.engine.schemas import Direction, Schemas
from users_api.transfer.copy_format import copied_values
from users_api.transfer.records import Record

EARLIEST: Final = datetime(1, 1, 2, tzinfo=UTC)  # As the table's constraint.
LATEST: Final = datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC)
IMPOSSIBLE_DATE: Final = FieldError(
    "created_date", "must be a time that exists, from 0001-01-02 to 9999-12-30 in UTC"
)


class Line(NamedTuple):
    """A valid record: a user, of whom only the name and the email are always given."""

    number: int
    raw: bytes
    id: int | None
    username: str
    email: str
    active: bool | None
    created_date: datetime | None
    copied: str = ""
    """The values but the id as COPY takes them; empty if one is missing."""


class Rejection(NamedTuple):
    """A record that is not imported, and why."""

    number: int
    raw: bytes
    errors: list[FieldError]


class Rules:
    """The document's rules for a user, of whom only what its `NewUser` requires is required."""

    def __init__(self) -> None:
        """Compile them."""
        document = Document.load(document_path())
        known, schemas = document.root["components"]["schemas"], Schemas(document.root)
        schema = {
            "type": "object",
            "additionalProperties": False,
            "required": known["NewUser"]["required"],
            "properties": known["User"]["properties"],
        }
        options = Options(document, schemas, strict=True, required=True, uri_parser_class=None)
        self._body = JsonBody({"schema": schema}, "#/import", "application/json", options)
        self._schema = schemas.compile(schema, "#/import/schema", Direction.REQUEST)
        schemas.finish()

    def check(self, record: Record) -> Line | Rejection:
        """Return the record's line, or its errors."""
        number, raw, _, problem = record
        if problem:
            return Rejection(number, raw, [FieldError("", problem)])
        try:
            values = self._values(record)
            date = values.get("created_date")
            created = None if date is None else _time(date)
        except InvalidPayload as error:
            return Rejection(number, raw, list(error.errors))
        username, email, active = values["username"], values["email"], values.get("active")
        copied = ""
        if active is not None and created is not None:  # Here, because the thread that reads has the time.
            copied = copied_values(username, email, active=active, created=created)
        return Line(number, raw, values.get("id"), username, email, active, created, copied)

    def _values(self, record: Record) -> Any:
        if isinstance(record.content, bytes):
            return self._body.read(record.content).value
        if errors := self._schema.errors(record.content):
            raise InvalidPayload(errors)
        return record.content


def _time(text: str) -> datetime:
    """Return the time; RFC 3339 also allows leap seconds, and years that no date has."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidPayload([IMPOSSIBLE_DATE]) from None
    if not EARLIEST <= found <= LATEST:
        raise InvalidPayload([IMPOSSIBLE_DATE])
    return found
