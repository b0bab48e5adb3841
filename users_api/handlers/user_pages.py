"""Pages of users in any order, and whether others come before and after them."""

from typing import Any, Final, NamedTuple

from users_api.database import many_rows, rows
from users_api.handlers.user_orders import Order, Place

USUAL_LIMIT: Final = 100
START: Final = Place(0)


class Page(NamedTuple):
    """The users of a page, and the places before which the previous one ends and after which the next starts.

    A place is None if there is no such page.
    """

    users: list[Any]
    before: Place | None
    after: Place | None


def read_page(order: Order, limit: int, place: Place | None, *, backward: bool) -> Page:
    """Return the page that begins after the place, or that ends before it.

    Reading one row beyond the page determines whether there is another one. The statement begins with the
    place itself, whose user shows that there are users on its other side; only if that user is no longer
    there, a second statement looks for another one.
    """
    descending = order.is_descending is not backward
    fetch = rows if limit <= USUAL_LIMIT else many_rows
    more = limit + 1 if place is None else limit + 2
    found = fetch(
        order.statement(descending=descending), more=more, **order.values(place, descending=descending)
    )
    behind = None
    if place is not None:
        if found and order.place(found[0]) == place:
            behind, found = found[0], found[1:]
        else:
            behind = _nearest(order, place, descending=not descending)
    users = found[:limit]
    beyond = order.place(users[-1]) if len(found) > limit else None
    if backward:
        return Page(users[::-1], beyond, _back(order, users, behind, backward=True))
    return Page(users, _back(order, users, behind, backward=False), beyond)


def _nearest(order: Order, place: Place, *, descending: bool) -> Any | None:
    found = rows(order.statement(descending=descending), more=1, **order.values(place, descending=descending))
    return found[0] if found else None


def _back(order: Order, users: list[Any], behind: Any | None, *, backward: bool) -> Place | None:
    """Return the place of the link back to the user behind the page.

    Behind an empty page are either all users, from the start, or the last ones, up to the place that follows
    the nearest of them.
    """
    if behind is None:
        return None
    if users:
        return order.place(users[0])
    if backward:
        return START
    nearest = order.place(behind)
    return nearest._replace(id=nearest.id + (-1 if order.is_descending else 1))
