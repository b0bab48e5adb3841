"""Sessions that use headers and cookies in requests and responses."""

from typing import Any

from connexion.exceptions import ClientProblem

sessions: dict[int, dict[str, int]] = {1: {"id": 1}}


def open_session(x_request_id: str | None = None) -> Any:
    number = len(sessions) + 1
    sessions[number] = {"id": number}
    headers = {
        "Location": f"/sessions/{number}",
        "Set-Cookie": f"session={number}; Path=/",
        "X-Numbers": "1,2",
        "X-Limits": "day=5",
        "X-Enabled": "true",
    }
    return sessions[number], 201, headers | ({"X-Request-Id": x_request_id} if x_request_id else {})


def get_session(id: int, if_none_match: str | None = None) -> Any:
    session, tag = find(id), str(id)
    return (None, 304, {"ETag": tag}) if if_none_match == tag else (session, 200, {"ETag": tag})


def touch_session(id: int, session: int | None = None) -> Any:
    find(id)["touched"] = session or 0
    return find(id)


def close_session(id: int) -> Any:
    find(id)
    del sessions[id]
    return None, 204


def find(number: int) -> dict[str, int]:
    if (session := sessions.get(number)) is None:
        raise ClientProblem(404, "Not Found", detail="There is no such session.")
    return session
