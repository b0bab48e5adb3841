"""Swagger's pet store."""

from collections import Counter
from typing import Any

from connexion.exceptions import ClientProblem

pets: dict[int, dict[str, Any]] = {1: {"id": 1, "name": "Ann", "photoUrls": [], "status": "available"}}


def add_pet(body: dict[str, Any]) -> Any:
    number = body.get("id", len(pets) + 1)
    pets[number] = {**body, "id": number}
    return pets[number]


def update_pet(body: dict[str, Any]) -> Any:
    find(body.get("id", 0)).update(body)
    return find(body["id"])


def find_pets_by_status(status: str) -> Any:
    return [pet for pet in pets.values() if pet.get("status") == status]


def find_pets_by_tags(tags: list[str] | None = None) -> Any:
    return [pets[1]] if 1 in pets and "cat" in (tags or ()) else []


def get_pet(petId: int) -> Any:
    return find(petId)


def rename_pet(petId: int, **changes: str) -> Any:
    find(petId).update(
        {key: value for key, value in changes.items() if key in {"name", "status"} and value is not None}
    )
    return find(petId)


def delete_pet(petId: int, api_key: str | None = None) -> Any:
    find(petId)
    del pets[petId]
    return None, 204


def upload_image(petId: int, body: bytes | None = None, additionalMetadata: str | None = None) -> Any:
    return {"code": len(body or b""), "type": additionalMetadata or "", "message": "stored"}


def get_inventory() -> Any:
    return dict(Counter(pet.get("status", "available") for pet in pets.values()))


def place_order(body: dict[str, Any] | None = None) -> Any:
    return body or {"complete": False}


def delete_order(orderId: int) -> Any:
    return None, 204


def create_users(body: list[dict[str, Any]] | None = None) -> Any:
    return {name: value for name, value in (body[0] if body else {}).items() if name != "password"}


def login(username: str | None = None, password: str | None = None) -> Any:
    return f"{username} {password}", 200, {"X-Rate-Limit": 10, "X-Expires-After": "2026-11-23T10:00:00Z"}


def find(number: int) -> dict[str, Any]:
    if (pet := pets.get(number)) is None:
        raise ClientProblem(404, "Not Found", detail="There is no such pet.")
    return pet
