"""The lower bound in Python: a bare ASGI function over asyncpg with almost no validation."""

import os
from typing import Any
from urllib.parse import parse_qs

import asyncpg
import orjson

GET = "SELECT id, username, email, active, created_date, version FROM users WHERE id = $1"
LIST = (
    "SELECT id, username, email, active, created_date, version FROM users WHERE id > $1 ORDER BY id LIMIT $2"
)
FILTER = """SELECT id, username, email, active, created_date, version FROM users
    WHERE id > $1 AND lower(email) = lower($3) ORDER BY id LIMIT $2"""
INSERT = """INSERT INTO users (username, email) VALUES ($1, $2)
    RETURNING id, username, email, active, created_date, version"""
UPDATE = """UPDATE users SET
    username = coalesce($2, username), email = coalesce($3, email), active = coalesce($4, active),
    version = version + 1
    WHERE id = $1 RETURNING id, username, email, active, created_date, version"""
DELETE = "DELETE FROM users WHERE id = $1 RETURNING email"
Answer = tuple[int, Any, dict[str, str]]
INVALID: Answer = (400, {"status": "fail", "message": "Invalid payload."}, {})
DUPLICATE: Answer = (400, {"status": "fail", "message": "Sorry. That email already exists."}, {})
MISSING: Answer = (404, {"status": "fail", "message": "User does not exist"}, {})
state: dict[str, Any] = {}


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    try:
        status, answer, headers = await route(scope, receive)
    except asyncpg.UniqueViolationError:
        status, answer, headers = DUPLICATE
    body = b"" if answer is None else orjson.dumps(answer, option=orjson.OPT_UTC_Z)
    headers = (
        {"content-type": "application/json", "content-length": str(len(body))} | headers if body else headers
    )
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def lifespan(receive: Any, send: Any) -> None:
    await receive()
    async with asyncpg.create_pool(os.environ["DATABASE_URL"]) as state["pool"]:
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def route(scope: Any, receive: Any) -> Answer:
    method, path, pool = scope["method"], scope["path"], state["pool"]
    if path == "/ping":
        return 200, {"status": "success", "message": "pong"}, {}
    if path == "/users":
        return await (
            create(pool, await read(receive)) if method == "POST" else page(pool, scope["query_string"])
        )
    user_id = int(path.removeprefix("/users/"))
    if method == "GET":
        return await get(pool, user_id, dict(scope["headers"]).get(b"if-none-match", b"").decode())
    if method == "DELETE":
        email = await pool.fetchval(DELETE, user_id)
        return (200, {"status": "success", "message": f"{email} was removed!"}, {}) if email else MISSING
    change = await read(receive)
    row = await pool.fetchrow(
        UPDATE, user_id, change.get("username"), change.get("email"), change.get("active")
    )
    return stored(row, f"{user_id} was updated!") if row else MISSING


async def read(receive: Any) -> Any:
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    return orjson.loads(body)


async def page(pool: Any, query: bytes) -> Answer:
    values = {name: texts[0] for name, texts in parse_qs(query.decode()).items()}
    limit, after = int(values.get("limit", 100)), int(values.get("after", 0))
    filters = [values["email"]] if "email" in values else []
    rows = await pool.fetch(FILTER if filters else LIST, after, limit + 1, *filters)
    link = f"/users?limit={limit}&after={rows[limit - 1]['id']}" if len(rows) > limit else None
    body = {
        "status": "success",
        "data": {"users": [user(row) for row in rows[:limit]], "next": link, "prev": None},
    }
    return 200, body, {"link": f'<{link}>; rel="next"'} if link else {}


async def create(pool: Any, new: Any) -> Answer:
    if "username" not in new or "email" not in new:
        return INVALID
    row = await pool.fetchrow(INSERT, new["username"], new["email"])
    return stored(row, f"{row['email']} was added!", 201, location=f"/users/{row['id']}")


async def get(pool: Any, user_id: int, if_none_match: str) -> Answer:
    row = await pool.fetchrow(GET, user_id)
    if row is None:
        return MISSING
    if etag(row) in if_none_match:
        return 304, None, {"etag": etag(row)}
    return 200, {"status": "success", "data": user(row)}, {"etag": etag(row)}


def stored(row: Any, message: str, status: int = 200, **headers: str) -> Answer:
    return status, {"status": "success", "message": message, "data": user(row)}, headers | {"etag": etag(row)}


def etag(row: Any) -> str:
    return f'"{row["id"]}-{row["version"]}"'


def user(row: Any) -> dict[str, Any]:
    return {
        "id": row["id"],
        "username": row["username"],
        "email": row["email"],
        "active": row["active"],
        "created_date": row["created_date"],
    }
