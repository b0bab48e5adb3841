"""The fast dump is marshmallow's."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from users_api.schemas import dump_user, user_schema


@pytest.mark.parametrize("microsecond", [0, 1, 123456])
@pytest.mark.parametrize("active", [True, False])
def test_a_row_is_dumped_as_marshmallow_does(*, active: bool, microsecond: int) -> None:
    moment = datetime(2026, 11, 23, 9, 30, 0, microsecond, UTC)
    row = SimpleNamespace(id=7, username="Ω", email="ada@example.org", active=active, created_date=moment, version=3)

    assert dump_user.one(row) == user_schema.dump(row)
    assert dump_user.many([row, row]) == user_schema.dump([row, row], many=True)
    assert dump_user.one(row)["created_date"] == f"2026-11-23T09:30:00.{microsecond:06}Z"
