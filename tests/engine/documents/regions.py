"""Operations that return their base path, which has variables."""

from typing import Any

from connexion import request


def tell() -> dict[str, Any]:
    return {"path": request.scope["path"]}


get_region = get_capital = tell


def get_city(name: str) -> dict[str, Any]:
    return tell()
