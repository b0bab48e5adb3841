"""JSON objects of tokens and issuers, rejected if two parsers could interpret them differently (RFC 8259)."""

import json
from typing import Any, Final

import orjson

MAX_DEPTH: Final = 16


def parse_object(text: bytes) -> dict[str, Any]:
    """Return the object.

    orjson rejects whatever is not RFC 8259 in UTF-8, lone surrogates, and numbers that no float can hold; it
    returns integers of more than 64 bits as floats.

    Raises:
        ValueError: it is no JSON object, has more than 16 levels, or repeats a member at any level; the
            message reads after the name of the text.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        message = f"is not JSON: {error}"
        raise ValueError(message) from None
    if not isinstance(value, dict):
        message = "is not a JSON object"
        raise ValueError(message)  # noqa: TRY004 -- the text is wrong, not the type of an argument.
    _check_depth(value)
    json.loads(text, object_pairs_hook=_check_members, parse_int=str, parse_float=str)
    return value


def _check_depth(value: dict[str, Any]) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        children = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
        level = [child for child in children if isinstance(child, dict | list)]
    if level:
        message = f"has more than {MAX_DEPTH} levels"
        raise ValueError(message)


def _check_members(pairs: list[tuple[str, Any]]) -> None:
    """Reject repeated members, of which orjson returns the last one and other parsers the first one."""
    if len(dict(pairs)) < len(pairs):
        message = "has a member more than once"
        raise ValueError(message)
