"""The operations tagged `users`; most execute a single database statement."""

from functools import cache
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy import bindparam, delete, insert, select, update
from werkzeug.http import parse_etags, quote_etag

from users_api.database import rows
from users_api.engine import Response
from users_api.envelope import not_modified, success
from users_api.errors import PreconditionFailed, UserNotFound
from users_api.handlers.user_orders import Place
from users_api.handlers.user_pages import read_page
from users_api.handlers.user_queries import key_of, read_order, read_place
from users_api.models import NEXT_VERSION, User, etag, random_version
from users_api.schemas import dump_user

users: Final = User.__table__
FIND: Final = select(users).where(users.c.id == bindparam("user_id"))
ADD: Final = insert(users).returning(users)
CHANGE: Final = (
    update(users).where(users.c.id == bindparam("user_id")).values(version=NEXT_VERSION).returning(users)
)
REMOVE: Final = delete(users).where(users.c.id == bindparam("user_id")).returning(users.c.email)
VERSION_MATCHES: Final = users.c.version == bindparam("seen")


def list_users(
    *, limit: int, after: int, before: int | None = None, key: str | None = None, **filters: str | bool
) -> Response:
    """Return one page, with links to those before and after it, which keep the filters.

    Each further filter is the name of a column, or a parameter of `user_queries`.
    """
    order = read_order(filters)
    place = read_place(order, after, before, key)
    page = read_page(order, limit, place, backward=before is not None)
    links = {
        "next": page.after and _path(limit, "after", page.after, filters),
        "prev": page.before and _path(limit, "before", page.before, filters),
    }
    link = ", ".join(f'<{path}>; rel="{name}"' for name, path in links.items() if path)
    data = {"users": dump_user.many(page.users), **links}
    return success(data=data, headers={"Link": link} if link else {})


def create_user(body: dict[str, Any]) -> Response:
    """Add the user; a unique index rejects an existing email."""
    (user,) = rows(ADD, **body)
    return _user_response(user, f"{user.email} was added!", HTTPStatus.CREATED, Location=f"/users/{user.id}")


def get_user(user_id: int, if_none_match: str | None = None) -> Response:
    """Return the user, or 304 if the client already has this version."""
    user = _find(user_id)
    if if_none_match and parse_etags(if_none_match).contains_weak(etag(user)):
        return not_modified({"ETag": quote_etag(etag(user))})
    return _user_response(user)


def update_user(user_id: int, body: dict[str, Any], if_match: str | None = None) -> Response:
    """Update the given properties in one statement: of two concurrent updates the last one wins."""
    user = _write(CHANGE, user_id, if_match, body | {"odd_version": random_version() | 1})
    return _user_response(user, f"{user.id} was updated!")


patch_user = update_user


def delete_user(user_id: int, if_match: str | None = None) -> Response:
    """Delete the user."""
    user = _write(REMOVE, user_id, if_match, {})
    return success(message=f"{user.email} was removed!")


@cache
def _if_version_matches(statement: Any) -> Any:
    """Return the statement, restricted to the version that was read."""
    return statement.where(VERSION_MATCHES)


def _find(user_id: int) -> Any:
    for user in rows(FIND, user_id=user_id):
        return user
    raise UserNotFound(user_id)


def _write(statement: Any, user_id: int, if_match: str | None, values: dict[str, Any]) -> Any:
    """Execute the statement if the user's version matches If-Match; `*` matches every version."""
    unconditional = if_match is None or parse_etags(if_match).star_tag
    if unconditional:
        written = rows(statement, user_id=user_id, **values)
    else:
        user = _find(user_id)
        if etag(user) not in parse_etags(if_match):
            raise PreconditionFailed
        written = rows(_if_version_matches(statement), user_id=user_id, seen=user.version, **values)
    for user in written:
        return user
    raise UserNotFound(user_id) if unconditional else PreconditionFailed


def _path(limit: int, side: str, place: Place, filters: dict[str, str | bool]) -> str:
    """Return the path of the page after or before the place."""
    path = f"/users?limit={limit}&{side}={place.id}"
    key = key_of(place)
    texts = {} if key is None else {"key": key}
    texts |= {
        name: str(value).lower() if isinstance(value, bool) else value for name, value in filters.items()
    }
    return f"{path}&{urlencode(texts)}" if texts else path


def _user_response(
    user: Any, message: str | None = None, status: HTTPStatus = HTTPStatus.OK, **headers: str
) -> Response:
    headers["ETag"] = quote_etag(etag(user))
    return success(message=message, data=dump_user.one(user), status=status, headers=headers)
