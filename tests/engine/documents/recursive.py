"""Operations that return the body, at any depth."""

from typing import Any


def echo(body: Any) -> Any:
    return {"value": body}


post_tree = post_list = post_company = post_animal = post_shape = post_expression = echo
