"""The query of a list of users: the order that it asks for, the place in it, and what cannot be combined."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from users_api.database import fold, last_with_prefix
from users_api.engine.failures import FieldError, InvalidParameter
from users_api.handlers.user_orders import IdOrder, Order, Place, SortedOrder
from users_api.models import LONGEST_EMAIL, LONGEST_USERNAME

DATES: Final = ("created_after", "created_before")
SORTING: Final = frozenset({"q", "order", *DATES})
EXCLUDED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"q": ("username", *DATES, "order"), **dict.fromkeys(DATES, ("username",))}
)
FIRST_DATE: Final = datetime(1, 1, 2, tzinfo=UTC)
LAST_DATE: Final = datetime(9999, 12, 31, tzinfo=UTC)
RESOLUTION: Final = timedelta(microseconds=1)
KEY_OF_DATE: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


def _moment(text: str) -> datetime:
    """Return the time in UTC: PostgreSQL rejects time zones of 16 hours and more."""
    return datetime.fromisoformat(text).astimezone(UTC)


READ: Final[Mapping[str, Callable[[str], Any]]] = MappingProxyType(
    {"q": fold, "email": fold, **dict.fromkeys(DATES, _moment)}
)


def read_order(parameters: Mapping[str, Any]) -> Order:
    """Return the order for these parameters, each of which is the name of a column or one of `SORTING`.

    An email belongs to one user, so it combines with all others, and the order is that of the id.

    Raises:
        InvalidParameter: no index serves these parameters together.
    """
    filters = {name: READ[name](value) if name in READ else value for name, value in parameters.items()}
    if SORTING.isdisjoint(filters):
        return IdOrder(filters, is_descending=False)
    by = filters.pop("order", None)
    is_descending = str(by).startswith("-")
    if "email" in filters:
        return IdOrder(filters, is_descending)
    if errors := [FieldError(name, text) for name, text in _conflicts(parameters)]:
        raise InvalidParameter(errors)
    if by in {"id", "-id"}:
        return IdOrder(filters, is_descending)
    prefix, since, until = (filters.pop(name, None) for name in ("q", *DATES))
    if prefix is not None:
        last = last_with_prefix(prefix, max(LONGEST_USERNAME, LONGEST_EMAIL))
        return SortedOrder(filters, is_descending, first=prefix, last=last, prefix=prefix)
    last_date = LAST_DATE if until is None else until - RESOLUTION
    return SortedOrder(filters, is_descending, first=since or FIRST_DATE, last=last_date)


def read_place(order: Order, after: int, before: int | None, key: str | None) -> Place | None:
    """Return the place after or before which the page is, or None for the first page.

    An order by id needs no key.

    Raises:
        InvalidParameter: the parameters name no place in this order.
    """
    if before is None and not after and (key is None or isinstance(order, IdOrder)):
        return None
    sort = _sort(order, key)
    if errors := [FieldError(name, text) for name, text in _misplacements(order, after, before, key)]:
        raise InvalidParameter(errors)
    return Place(after if before is None else before, sort)


def _conflicts(parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each parameter that no index serves together with another one, and why it is rejected."""
    by = parameters.get("order", "")
    excluding = {name: others for name, others in EXCLUDED.items() if name in parameters}
    if by.endswith("created_date"):
        excluding[f"order={by}"] = ("username",)
    for name, others in excluding.items():
        yield from ((other, f"cannot be combined with {name}") for other in others if other in parameters)
    if by in {"id", "-id"}:
        yield from (
            ("order", f"must be created_date or -created_date with {name}")
            for name in DATES
            if name in parameters
        )


def _misplacements(
    order: Order, after: int, before: int | None, key: str | None
) -> Iterator[tuple[str, str]]:
    """Yield each parameter that names no place in the order, and why it is rejected."""
    if after and before is not None:
        yield "before", "cannot be combined with after"
    if isinstance(order, IdOrder):
        return
    if key is None:
        yield "key", "is required with after or before in this order"
    elif not _is_between(_sort(order, key), order):
        yield "key", "must be the one in next or prev of this list"


def _sort(order: Order, key: str | None) -> str | datetime | None:
    """Return the sort value that the key names in this order, or None if it names none."""
    if key is None or isinstance(order, IdOrder):
        return None
    if order.prefix is not None:
        return key
    try:
        return datetime.strptime(key, KEY_OF_DATE).replace(tzinfo=UTC)
    except ValueError:
        return None


def _is_between(sort: Any, order: SortedOrder) -> bool:
    return sort is not None and order.first <= sort <= order.last


def key_of(place: Place) -> str | None:
    """Return the key of the place, from which `read_place` reads its sort value; none in an order by id."""
    if isinstance(place.sort, datetime):
        return place.sort.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return place.sort
