"""JSON in requests: parsed as RFC 8259 writes it, and rejected where readers would differ in its value."""

import json
import re
from collections import Counter
from typing import Any, Final

import orjson

from users_api.engine.failures import FieldError

MOST_NAMES: Final = 12_000  # To list a megabyte of unknown names would hold up other requests for half a second.
MOST_LEVELS: Final = 256
TOO_DEEP: Final = "is nested too deeply"
REPEATED: Final = "is given more than once"
LONG_NUMBER: Final = re.compile(rb"[0-9]{19}")  # Beyond 64 bits, orjson makes an integer a float.


class NotJsonError(ValueError):
    """The text is not JSON, or is too much of it; the message says so in words for the client."""


def parse_json(text: bytes) -> Any:
    """Return the value; orjson refuses what RFC 8259 does, and lone surrogates and endless depth too.

    Raises:
        NotJsonError: it is malformed, an object with more than 12,000 names, or has more than 256 levels.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        message = f"must be JSON in UTF-8: {error}"
        raise NotJsonError(message) from None
    if isinstance(value, dict) and len(value) > MOST_NAMES:
        message = f"must have {MOST_NAMES} or fewer properties"
        raise NotJsonError(message)
    if len(text) > MOST_LEVELS and _is_too_deep(text, value):
        raise NotJsonError(TOO_DEEP)
    return json.loads(text) if LONG_NUMBER.search(text) else value


def _is_too_deep(text: bytes, value: Any) -> bool:
    if text.count(b"[") + text.count(b"{") <= MOST_LEVELS:
        return False
    level = [value]
    for _ in range(MOST_LEVELS):
        values = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
        level = [child for child in values if isinstance(child, (dict, list))]
        if not level:
            return False
    return True


def repetitions(text: bytes, value: Any) -> list[FieldError]:
    """Return an error for each name that stands twice in one object of the parsed text (RFC 8259, 4)."""
    names = len(value) if isinstance(value, dict) else 0
    if text.count(b":") == names:  # A name has a colon each time, so none can stand there twice.
        return []
    errors: list[FieldError] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        times = Counter(name for name, _ in pairs)
        repeated = [FieldError(name, REPEATED) for name in times if times[name] > 1]
        errors.extend(repeated[: MOST_NAMES - len(errors)])

    try:
        json.loads(text, object_pairs_hook=note, parse_int=str, parse_float=str)
    except RecursionError:
        errors.append(FieldError("", TOO_DEEP))
    return errors
