"""Accounts with a write-only password and a read-only number."""

from typing import Any

from connexion.exceptions import ClientProblem

accounts: dict[int, dict[str, Any]] = {
    1: {"id": 1, "name": "Eve", "nickname": None, "role": "admin", "settings": {"theme": "dark", "sizes": []}}
}


def list_accounts(order: list[str], limit: int, nickname: str | None = "none given") -> Any:
    answer = {"nickname": nickname, "order": list(order), "limit": limit}
    order.append("changed by the handler")
    return answer


def create_account(body: dict[str, Any]) -> Any:
    number = len(accounts) + 1
    stored = {name: value for name, value in body.items() if name != "password"}
    stored.setdefault("settings", {"theme": "light", "sizes": [1, 2]})
    accounts[number] = {**stored, "id": number}
    return accounts[number], 201


def get_account(id: int) -> Any:
    if id not in accounts:
        raise ClientProblem(404, "Not Found", detail="There is no such account.")
    return accounts[id]


def patch_account(id: int, body: dict[str, Any] | None = None) -> Any:
    account = get_account(id)
    account.update(body or {})
    return account
