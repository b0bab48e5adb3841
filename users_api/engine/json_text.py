"""JSON in requests: parsed as RFC 8259 defines it, and rejected if parsers would interpret it differently.

A text is measured before it is parsed, so that its schema limits how many values are built.
"""

import json
from collections import Counter
from contextlib import suppress
from itertools import islice
from typing import Any, Final

import orjson

from users_api.engine.failures import FieldError
from users_api.engine.messages import MAX_ERRORS, TOO_DEEP

MAX_DEPTH: Final = 256
DUPLICATE_MESSAGE: Final = "is given more than once"
DIGITS_TO_ZERO: Final = bytes.maketrans(b"123456789", b"0" * 9)
LONG_NUMBER: Final = b"0" * 19  # orjson parses integers beyond 64 bits as floats.
BYTES_PER_ITEM: Final = 32  # Most hostile texts have fewer.
LONG_TEXT: Final = 16 * 1024  # Bytes; most of a longer text is in strings.
WHITESPACE: Final = b" \t\n\r"


class InvalidJsonError(ValueError):
    """The text is not JSON, or exceeds a limit; the message is meant for the client."""


class EnoughErrors(Exception):  # noqa: N818 -- not an error: it ends a search.
    """The list of errors is full."""


def parse_json(text: bytes, max_items: int) -> Any:
    """Return the value; orjson also rejects lone surrogates and excessive depth.

    Raises:
        InvalidJsonError: it is malformed, has more than 256 levels, or more items and properties at all
            levels together than `max_items`.
    """
    if has_more_items(text, max_items):
        raise InvalidJsonError(too_many_items(max_items))
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        message = f"must be JSON in UTF-8: {error}"
        raise InvalidJsonError(message) from None
    if len(text) > MAX_DEPTH and _is_too_deep(text, value):
        raise InvalidJsonError(TOO_DEEP)
    return json.loads(text) if _has_long_number(text) else value


def too_many_items(most: int) -> str:
    """Return the message about a text with more items and properties."""
    return f"must have {most} or fewer items and properties"


def has_more_items(text: bytes, most: int) -> bool:
    """Return whether a JSON text has more items and properties; mostly its beginning shows that it has."""
    if len(text) <= most:
        return False
    # The cut may hide that the last container is empty.
    return _begins_with_more_items(text[: most * BYTES_PER_ITEM], most + 1) or _begins_with_more_items(
        text, most
    )


def _begins_with_more_items(text: bytes, most: int) -> bool:
    """Do the same for the beginning of a text; strings are left out only if they matter."""
    if text.count(b",") + text.count(b"[") + text.count(b"{") <= most:
        return False
    unescaped = _without_escapes(text)
    if unescaped.count(b'"') > 4 * (most + 1):  # A property has two strings at most.
        return True
    rest = _outside_strings(unescaped).translate(None, WHITESPACE)
    containers = rest.count(b"[") + rest.count(b"{") - rest.count(b"[]") - rest.count(b"{}")
    return rest.count(b",") + containers > most


def _without_escapes(text: bytes) -> bytes:
    """Return a JSON text without escaped quotes, so that each quote begins or ends a string."""
    return text.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in text else text


def _outside_strings(unescaped: bytes) -> bytes:
    """Return the text with a quotation mark in place of each string."""
    return b'"'.join(unescaped.split(b'"')[::2])


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


def _has_long_number(text: bytes) -> bool:
    if len(text) <= LONG_TEXT and LONG_NUMBER not in text.translate(DIGITS_TO_ZERO):
        return False
    return LONG_NUMBER in _outside_strings(_without_escapes(text)).translate(DIGITS_TO_ZERO)


def duplicate_name_errors(text: bytes, value: Any) -> list[FieldError]:
    """Return an error for each name that is repeated in an object of the parsed text (RFC 8259, 4).

    A text without repeated names has as many colons, outside its strings, as the value has names.
    """
    if isinstance(value, dict) and text.count(b":") == len(value):
        return []
    names = _count_names(value)
    if text.count(b":") == names or _outside_strings(_without_escapes(text)).count(b":") == names:
        return []
    errors: list[FieldError] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        if len(dict(pairs)) < len(pairs):
            times = Counter(name for name, _ in pairs)
            repeated = (FieldError(name, DUPLICATE_MESSAGE) for name in times if times[name] > 1)
            errors.extend(islice(repeated, MAX_ERRORS - len(errors)))
            if len(errors) == MAX_ERRORS:
                raise EnoughErrors

    with suppress(EnoughErrors):
        json.loads(text, object_pairs_hook=note, parse_int=str, parse_float=str)
    return errors


def _count_names(value: Any) -> int:
    """Return the number of properties at all levels."""
    count, waiting = 0, [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            count += len(each)
            waiting += [child for child in each.values() if isinstance(child, (dict, list))]
        elif isinstance(each, list):
            waiting += [child for child in each if isinstance(child, (dict, list))]
    return count
