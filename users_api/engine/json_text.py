"""JSON in requests: parsed as RFC 8259 defines it, and rejected if parsers would interpret it differently."""

import json
import re
from collections import Counter
from typing import Any, Final

import orjson

from users_api.engine.failures import FieldError

MAX_NAMES: Final = 12_000  # Listing a megabyte of unknown names would block other requests for half a second.
MAX_DEPTH: Final = 256
TOO_DEEP: Final = "is nested too deeply"
DUPLICATE_MESSAGE: Final = "is given more than once"
LONG_NUMBER: Final = re.compile(rb"[0-9]{19}")  # orjson parses integers beyond 64 bits as floats.


class InvalidJsonError(ValueError):
    """The text is not JSON, or exceeds a limit; the message is meant for the client."""


def parse_json(text: bytes) -> Any:
    """Return the value; orjson also rejects lone surrogates and excessive depth.

    Raises:
        NotJsonError: it is malformed, an object with more than 12,000 names, or has more than 256 levels.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        message = f"must be JSON in UTF-8: {error}"
        raise InvalidJsonError(message) from None
    if isinstance(value, dict) and len(value) > MAX_NAMES:
        message = f"must have {MAX_NAMES} or fewer properties"
        raise InvalidJsonError(message)
    if len(text) > MAX_DEPTH and _is_too_deep(text, value):
        raise InvalidJsonError(TOO_DEEP)
    return json.loads(text) if LONG_NUMBER.search(text) else value


def _is_too_deep(text: bytes, value: Any) -> bool:
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False
    level = [value]
    for _ in range(MAX_DEPTH):
        values = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
        level = [child for child in values if isinstance(child, (dict, list))]
        if not level:
            return False
    return True


def duplicate_name_errors(text: bytes, value: Any) -> list[FieldError]:
    """Return an error for each name that is repeated in an object of the parsed text (RFC 8259, 4)."""
    names = len(value) if isinstance(value, dict) else 0
    if text.count(b":") == names:  # Each name in the text has a colon, so no name is repeated.
        return []
    errors: list[FieldError] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        times = Counter(name for name, _ in pairs)
        repeated = [FieldError(name, DUPLICATE_MESSAGE) for name in times if times[name] > 1]
        errors.extend(repeated[: MAX_NAMES - len(errors)])

    try:
        json.loads(text, object_pairs_hook=note, parse_int=str, parse_float=str)
    except RecursionError:
        errors.append(FieldError("", TOO_DEEP))
    return errors
