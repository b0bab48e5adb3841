"""The Cookie header, parsed as Starlette parses it.

Starlette leaves quoted values to Python's `http.cookies`, which takes quadratic time for backslashes before
Python 3.11.10 and 3.12.6 (CVE-2024-7592).
"""

import re
from typing import Final

QUOTED: Final = re.compile(r'"(.*)"', re.DOTALL)
ESCAPE: Final = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))")


def parse_cookies(header: str) -> dict[str, str]:
    """Return the cookies by name; the last one of a name wins, and a cookie without `=` has no name."""
    cookies: dict[str, str] = {}
    for pair in header.split(";"):
        name, equals, value = pair.partition("=")
        name, value = (name.strip(), value.strip()) if equals else ("", name.strip())
        if name or value:
            cookies[name] = _unquote(value)
    return cookies


def _unquote(value: str) -> str:
    quoted = QUOTED.fullmatch(value)
    return ESCAPE.sub(_unescape, quoted[1]) if quoted else value


def _unescape(escape: re.Match[str]) -> str:
    octal, character = escape.groups()
    return chr(int(octal, 8)) if octal else character
