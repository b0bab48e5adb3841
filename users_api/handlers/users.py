"""The tag `users`: each function is one operation of the document, and one statement on the database."""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from flask import Response
from sqlalchemy import ColumnElement, delete, func, insert, select, update
from werkzeug.http import parse_etags, quote_etag

from users_api.answers import success
from users_api.db import db
from users_api.errors import PreconditionFailed, UserNotFound
from users_api.models import User
from users_api.schemas import user_schema


def list_users(*, limit: int, after: int, **filters: str | bool) -> Response:
    """Give one page; the one row more that is read tells whether there is a next one."""
    page = select(User).where(User.id > after, *map(_matches, filters, filters.values())).order_by(User.id).limit(limit + 1)
    users = db.session.scalars(page).all()
    link = _link(limit, users[limit - 1].id, filters) if len(users) > limit else None
    headers = {"Link": f'<{link}>; rel="next"'} if link else None
    return success(data={"users": user_schema.dump(users[:limit], many=True), "next": link}, headers=headers)


def create_user(body: dict[str, Any]) -> Response:
    """Store the user; a taken address is refused by the table."""
    user = db.session.scalars(insert(User).values(body).returning(User)).one()
    return _answer(user, f"{user.email} was added!", HTTPStatus.CREATED, Location=f"/users/{user.id}")


def get_user(user_id: int, if_none_match: str | None = None) -> Response:
    """Give the user, or 304 when the caller has this version already."""
    user = _find(user_id)
    if parse_etags(if_none_match).contains_weak(user.etag):
        return Response(status=HTTPStatus.NOT_MODIFIED, headers={"ETag": quote_etag(user.etag)})
    return _answer(user)


def update_user(user_id: int, body: dict[str, Any], if_match: str | None = None) -> Response:
    """Write what was given over the user, as a whole: of two writers the last one wins."""
    change = update(User).where(*_target(user_id, if_match)).values(**body, version=User.version + 1).returning(User)
    user = db.session.scalar(change, execution_options={"synchronize_session": False, "populate_existing": True})
    if user is None:
        raise _gone(user_id, if_match)
    return _answer(user, f"{user.id} was updated!")


patch_user = update_user


def delete_user(user_id: int, if_match: str | None = None) -> Response:
    """Remove the user."""
    removal = delete(User).where(*_target(user_id, if_match)).returning(User.email)
    email = db.session.scalar(removal, execution_options={"synchronize_session": False})
    if email is None:
        raise _gone(user_id, if_match)
    return success(message=f"{email} was removed!")


def _find(user_id: int) -> User:
    user: User | None = db.session.scalar(select(User).where(User.id == user_id))
    if user is None:
        raise UserNotFound(user_id)
    return user


def _matches(name: str, value: str | bool) -> ColumnElement[bool]:  # noqa: FBT001 -- a filter's value, not a switch.
    return func.lower(User.email) == str(value).lower() if name == "email" else getattr(User, name) == value


def _link(limit: int, after: int, filters: dict[str, str | bool]) -> str:
    texts = {name: str(value).lower() if isinstance(value, bool) else value for name, value in filters.items()}
    return f"/users?{urlencode({'limit': limit, 'after': after, **texts})}"


def _target(user_id: int, if_match: str | None) -> list[ColumnElement[bool]]:
    """Return what a change may touch: the user, and only the version that the caller saw if it names any."""
    if if_match is None:
        return [User.id == user_id]
    user = _find(user_id)
    if user.etag not in parse_etags(if_match):
        raise PreconditionFailed
    return [User.id == user_id, User.version == user.version]


def _gone(user_id: int, if_match: str | None) -> Exception:
    """Return why no row was touched; with `If-Match` another writer came in between look and change."""
    return UserNotFound(user_id) if if_match is None else PreconditionFailed()


def _answer(user: User, message: str | None = None, status: HTTPStatus = HTTPStatus.OK, **headers: str) -> Response:
    headers["ETag"] = quote_etag(user.etag)
    return success(message=message, data=user_schema.dump(user), status=status, headers=headers)
