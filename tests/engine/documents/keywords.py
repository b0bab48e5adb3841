"""Operations that return the body."""

from typing import Any


def echo(body: Any) -> Any:
    return {"value": body}


post_numbers = post_strings = post_arrays = post_objects = post_combined = post_anything = echo
