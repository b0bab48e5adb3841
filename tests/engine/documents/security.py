"""Operations that return the authenticated user."""

from typing import Any


def tell(user: str | None = None) -> dict[str, Any]:
    return {"user": user}


tell_global = tell_open = tell_bearer = tell_header = tell_query = tell_cookie = tell
tell_oauth2 = tell_oauth2_writer = tell_openid = tell_and = tell_or = tell_optional = tell
