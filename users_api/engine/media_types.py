"""Media types and ranges, as in Content-Type (RFC 9110, 8.3) and in documents."""

import re
from fnmatch import translate
from typing import Final

MAX_LENGTH: Final = 1_024
TCHARS: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
NAME: Final = re.compile(rf"{TCHARS}/{TCHARS}")
PARAMETER: Final = re.compile(rf'[ \t]*;[ \t]*(?:({TCHARS})=(?:([^\s;"]+)|"((?:[^"\\]|\\.)*+)")[ \t]*)?')
ESCAPE: Final = re.compile(r"\\(.)")
UTF8: Final = frozenset({"utf-8", "utf8"})
ASCII: Final = frozenset({"us-ascii", "ascii"})
URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"


def parse_media_type(text: str) -> tuple[str, dict[str, str]] | None:
    """Return the type in lower case and its parameters, or None if the text is not a media type.

    A text with a repeated parameter is invalid, because parsers would choose different values. So is one of
    more than MAX_LENGTH characters, since each semicolon in it may begin a parameter.
    """
    text = text.rstrip(" \t")
    found = NAME.match(text)
    if found is None or len(text) > MAX_LENGTH:
        return None
    parameters: dict[str, str] = {}
    position = found.end()
    while position < len(text):
        parameter = PARAMETER.match(text, position)
        if parameter is None:
            return None
        name, plain, quoted = parameter.groups()
        value = plain if quoted is None else ESCAPE.sub(r"\1", quoted)
        if name and parameters.setdefault(name.lower(), value) != value:
            return None
        position = parameter.end()
    return found[0].lower(), parameters


def is_json(name: str) -> bool:
    """Return whether bodies of this type are JSON, by its name or its suffix (RFC 6839, 3.1)."""
    return name.endswith(("/json", "+json"))


def compile_range(name: str) -> re.Pattern[str]:
    """Return the pattern of the types that a range such as `image/*` covers; names are in lower case."""
    return re.compile(translate(name))


def specificity(name: str) -> tuple[bool, str]:
    """Return a sort key that puts the most specific of several types and ranges last."""
    return "*" not in name, name
