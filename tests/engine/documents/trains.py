"""Trains with stations, trips and bookings that are paid."""

from typing import Any
from uuid import UUID, uuid5

from connexion.exceptions import ClientProblem

BERLIN = {"id": "efdbb9d1-02c2-4bc3-afb7-6788d8782b1e", "name": "Berlin Hauptbahnhof", "country_code": "DE"}
PARIS = {"id": "b2e783e1-c824-4d63-b37a-d8d698862f1d", "name": "Paris Gare du Nord", "country_code": "FR"}
PAYMENT = "2e3b4f5a-6b7c-8d9e-0f1a-2b3c4d5e6f7a"
FIRST = "1725ff48-ab45-4bb5-9d02-88745177dedb"

bookings: dict[str, dict[str, Any]] = {FIRST: {"id": FIRST, "trip_id": PAYMENT, "passenger_name": "Ada"}}


def page_of(found: list[Any], page: int, limit: int, path: str) -> dict[str, Any]:
    return {"data": found[(page - 1) * limit :][:limit], "links": {"self": f"/trains/{path}?page={page}"}}


def list_stations(
    page: int, limit: int, coordinates: Any = None, search: str | None = None, country: str | None = None
) -> Any:
    found = [each for each in (BERLIN, PARIS) if country in (None, each["country_code"])]
    return (
        page_of(found, page, limit, "stations"),
        200,
        {"Cache-Control": "max-age=60", "RateLimit": "limit=10"},
    )


def list_trips(origin: str, destination: str, date: str, page: int, limit: int, **wishes: bool) -> Any:
    trip = {
        "id": PAYMENT,
        "origin": origin,
        "destination": destination,
        "departure_time": date,
        "price": 50.0,
    }
    allowed = {f"{name}_allowed": wish for name, wish in wishes.items() if name in {"bicycles", "dogs"}}
    return page_of([trip | allowed], page, limit, "trips")


def list_bookings(page: int, limit: int) -> Any:
    return page_of(list(bookings.values()), page, limit, "bookings")


def create_booking(body: dict[str, Any]) -> Any:
    name = str(uuid5(UUID(PAYMENT), str(len(bookings))))
    bookings[name] = {**body, "id": name}
    return bookings[name], 201


def get_booking(bookingId: str) -> Any:
    return find(bookingId)


def delete_booking(bookingId: str) -> Any:
    del bookings[find(bookingId)["id"]]
    return None, 204


def pay_booking(bookingId: str, body: dict[str, Any]) -> Any:
    find(bookingId)
    source = {name: value for name, value in body["source"].items() if name != "cvc"}
    return {**body, "source": source, "id": PAYMENT, "status": "succeeded"}


def find(name: str) -> dict[str, Any]:
    if (booking := bookings.get(name.lower())) is None:
        raise ClientProblem(404, "Not Found", detail="There is no such booking.")
    return booking
