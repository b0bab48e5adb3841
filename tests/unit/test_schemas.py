"""The compiled dump produces the same JSON as marshmallow."""

from collections import namedtuple
from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest

from users_api.engine.dump import compile_dump
from users_api.models import User
from users_api.schemas import UserSchema, UtcDateTime, dump_user

Row = namedtuple("Row", User.__table__.columns.keys())  # noqa: PYI024 -- the fields come from the table.


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5, minutes=45))])
@pytest.mark.parametrize("microsecond", [0, 1, 120_000, 123_456])
@pytest.mark.parametrize("active", [True, False])
def test_a_row_is_dumped_identically_to_marshmallow(
    *, active: bool, microsecond: int, zone: timezone
) -> None:
    moment = datetime(2026, 11, 23, 9, 30, 0, microsecond, UTC).astimezone(zone)
    row = Row(id=7, username="Ω", email="ada@example.org", active=active, created_date=moment, version=3)

    one = orjson.loads(orjson.dumps(dump_user.one(row), option=orjson.OPT_UTC_Z))
    many = orjson.loads(orjson.dumps(dump_user.many([row, row]), option=orjson.OPT_UTC_Z))

    assert one == UserSchema().dump(row)
    assert many == UserSchema().dump([row, row], many=True)
    assert one["created_date"] == f"2026-11-23T09:30:00.{microsecond:06}Z"


def test_a_field_is_dumped_under_its_data_key() -> None:
    class Renamed(UserSchema):
        created_date = UtcDateTime(data_key="since")

    row = Row(
        id=7,
        username="Ω",
        email="ada@example.org",
        active=True,
        created_date=datetime.fromtimestamp(0, UTC),
        version=3,
    )

    assert compile_dump(Renamed()).one(row) == Renamed().dump(row)
