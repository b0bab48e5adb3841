"""The text format of PostgreSQL's COPY."""

import random
import re
from datetime import datetime
from typing import Final

from users_api.models import VERSION_BITS

ESCAPES: Final = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
ESCAPED: Final = re.compile(r"[\\\t\n\r]")
NULL: Final = r"\N"


def copied_values(username: str, email: str, *, active: bool | str, created: datetime | str) -> str:
    """Return the values of a user but the id, with a new version, as the end of a row."""
    if ESCAPED.search(username) or ESCAPED.search(email):
        username, email = username.translate(ESCAPES), email.translate(ESCAPES)
    return f"{username}\t{email}\t{active}\t{created}\t{random.getrandbits(VERSION_BITS)}\n"
