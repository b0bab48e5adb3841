"""The command `users-api export`."""

from pathlib import Path
from typing import IO, Final

import click
from flask.cli import with_appcontext

from users_api.transfer.destination import destination
from users_api.transfer.formats import STANDARD_STREAM, Format, format_option, required_format
from users_api.transfer.progress_bar import progress_bar
from users_api.transfer.schema_check import require_newest_schema
from users_api.transfer.snapshot import snapshot

EXISTS: Final = "{} exists; pass --force to replace it."


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False, writable=True, allow_dash=True))
@format_option
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@with_appcontext
def export_command(file: str, form: Format | None, *, force: bool) -> None:
    """Write all users to FILE, or to standard output if FILE is `-`.

    The file has the users at the moment when the command starts, ordered by id, while the service goes on
    reading and writing. It appears under its name only when it is complete, replaces no other file without
    --force, and only its owner can read it. An interrupted export begins again.

    The columns are id, username, email, active and created_date, as in the responses of the API. `users-api
    import` reads the file; docs/operations.md describes both formats.
    """
    form = required_format(file, form)
    path = None if file == STANDARD_STREAM else Path(file)
    if path and path.exists() and not force:
        raise click.UsageError(EXISTS.format(path))
    require_newest_schema()
    try:
        with destination(path) as opened:
            count = _export(form, opened)
    except OSError as error:
        raise click.FileError(file, error.strerror) from None
    click.echo(f"Exported {count:,} user{'' if count == 1 else 's'}.", err=True)


def _export(form: Format, file: IO[bytes]) -> int:
    with snapshot() as users, progress_bar("Exporting", users.count) as advance:
        users.write(form, file, lambda rows: advance(rows, rows))
        return users.count
