"""A museum that sells tickets and holds special events."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid5

from connexion.exceptions import ClientProblem

PIRATES = "3be6453c-03eb-4357-ae5a-984a0e574a54"
NAMES = UUID(PIRATES)
PICTURE = b"\x89PNG\r\n\x1a\n"

events: dict[str, dict[str, Any]] = {
    PIRATES: {
        "name": "Pirates",
        "location": "Bay",
        "dates": ["2026-09-05"],
        "price": 25.5,
        "eventId": PIRATES,
    }
}


def get_hours(startDate: str = "2026-11-23", page: int = 1, limit: int = 10) -> list[dict[str, str]]:
    try:
        first = date.fromisoformat(startDate) + timedelta(days=(page - 1) * limit)
        days = [first + timedelta(days=number) for number in range(limit)]
    except OverflowError:
        return []
    return [{"date": day.isoformat(), "timeOpen": "09:00", "timeClose": "18:00"} for day in days]


def list_events(
    page: int, limit: int, startDate: str = "", endDate: str = "9999-12-31"
) -> list[dict[str, Any]]:
    found = [event for event in events.values() if any(startDate <= day <= endDate for day in event["dates"])]
    return found[(page - 1) * limit :][:limit]


def create_event(body: dict[str, Any]) -> Any:
    name = str(uuid5(NAMES, str(len(events))))
    events[name] = {**body, "eventId": name}
    return events[name], 201, {"Location": f"/special-events/{name}"}


def get_event(eventId: str) -> dict[str, Any]:
    return find(eventId)


def update_event(eventId: str, body: dict[str, Any]) -> dict[str, Any]:
    find(eventId).update(body)
    return find(eventId)


def delete_event(eventId: str) -> Any:
    find(eventId)
    del events[eventId.lower()]
    return None, 204


def buy_tickets(body: dict[str, Any]) -> Any:
    ticket = {name: body[name] for name in ("ticketType", "ticketDate", "eventId") if name in body}
    return {
        **ticket,
        "ticketId": str(uuid5(NAMES, "ticket")),
        "message": "Enjoy.",
        "confirmationCode": "ticket-1",
    }, 201


def get_ticket_code(ticketId: str) -> bytes:
    return PICTURE + ticketId.encode()


def find(name: str) -> dict[str, Any]:
    if (event := events.get(name.lower())) is None:
        raise ClientProblem(404, "Not Found", detail="There is no such event.")
    return event
