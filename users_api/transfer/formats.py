"""The formats of exported and imported users: CSV (RFC 4180) and JSON Lines, both in UTF-8."""

from enum import StrEnum
from pathlib import PurePath
from typing import Final

import click

STANDARD_STREAM: Final = "-"
COLUMNS: Final = ("id", "username", "email", "active", "created_date")
"""The properties of the document's `User`, in its order."""


class Format(StrEnum):
    """A format, as `--format` names it."""

    CSV = "csv"
    JSON_LINES = "jsonl"


EXTENSIONS: Final = {".csv": Format.CSV, ".jsonl": Format.JSON_LINES, ".ndjson": Format.JSON_LINES}


def required_format(name: str, chosen: Format | None) -> Format:
    """Return the format of a file: the chosen one, or else that of its extension.

    Raises:
        UsageError: the extension stands for none.
    """
    found = chosen or EXTENSIONS.get(PurePath(name).suffix.lower())
    if found is None:
        known = ", ".join(EXTENSIONS)
        message = f"Pass --format csv or --format jsonl: the extension of {name!r} is none of {known}."
        raise click.UsageError(message)
    return found


format_option = click.option(
    "--format",
    "form",
    type=click.Choice([form.value for form in Format]),
    callback=lambda _context, _option, value: value and Format(value),
    help="The format of the file, by default that of its extension: .csv, .jsonl or .ndjson.",
)
