"""Operations that return their arguments."""

from typing import Any


def echo(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


simple_path = label_path = matrix_path = text_path = echo
form_query = exploded_query = delimited_query = deep_query = content_query = simple_header = form_cookie = (
    echo
)
