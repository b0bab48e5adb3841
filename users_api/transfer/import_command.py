"""The command `users-api import`."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

import click
from flask.cli import with_appcontext
from sqlalchemy.exc import DBAPIError

from users_api.database import db
from users_api.transfer.batches import read_batches
from users_api.transfer.beginning import Beginning, Options, begin
from users_api.transfer.conflicts import POLICIES, Conflict
from users_api.transfer.formats import STANDARD_STREAM, Format, format_option, required_format
from users_api.transfer.importing import ImportRun
from users_api.transfer.progress import AnotherImportRuns
from users_api.transfer.progress_bar import progress_bar
from users_api.transfer.rejection_file import RejectionFile
from users_api.transfer.rules import Rules
from users_api.transfer.schema_check import require_newest_schema
from users_api.transfer.source import Source, SourceError
from users_api.transfer.summary import Summary
from users_api.transfer.tables import service_tables, trial_tables

CONTINUE: Final = "Everything up to line {:,} is imported; run the same command again to continue."
CONFLICT: Final = (
    "Line {:,}: {} Remove the line or the user, or pass --on-conflict skip or --on-conflict update. "
)
NOTHING_CHANGED: Final = "This was a dry run: nothing was changed."
ANOTHER: Final = "Another process imports the same file at this moment."


class Stopped(click.ClickException):
    """The import has stopped before the end of the file."""

    exit_code = 3


class UnusableFile(click.ClickException):
    """The file, or its combination with the options, cannot be imported."""

    exit_code = 2


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@format_option
@click.option(
    "--on-conflict",
    type=click.Choice(list(POLICIES)),
    default="fail",
    show_default=True,
    help="What to do if a user with this id or email exists, in the database or in an earlier line: stop, "
    "skip the line, or update the user.",
)
@click.option(
    "--rejected",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write each rejected line to this file, with its number and the reasons.",
)
@click.option("--dry-run", is_flag=True, help="Report what would happen, on a temporary copy of the table.")
@click.option(
    "--restart", is_flag=True, help="Begin at the first line, even if the file is imported in part."
)
@with_appcontext
def import_command(  # noqa: PLR0913 -- one argument for each option.
    file: str, form: Format | None, on_conflict: str, rejected: Path | None, *, dry_run: bool, restart: bool
) -> None:
    """Add the users in FILE, or from standard input if FILE is `-`.

    Only username and email are required. The API's rules hold for each line: those that break one are
    rejected, the others imported. A given id or created_date is kept.

    The database records what is imported. After an interruption of any kind, the same command with the same
    input continues where the last one stopped; once all is imported, it only repeats the result.

    The exit status is 0 if all lines were accepted, 1 if some were rejected, 2 if the file or the options are
    wrong, and 3 if the import has stopped before the end.
    """
    options = Options(required_format(file, form), rejected, restart, dry_run)
    require_newest_schema()
    summary = Summary(file, options)
    with ExitStack() as stack:
        stack.enter_context(_beginning_errors())
        tables = stack.enter_context((trial_tables if dry_run else service_tables)(db.engine))
        beginning = begin(tables, lambda: stack.enter_context(_source(file)), options)
        if beginning.progress.finished_date is not None:
            summary.report_earlier(beginning.progress)
        opened = _open(rejected, beginning, stack)
        run = ImportRun(tables, POLICIES[on_conflict], beginning.progress, opened)
        with _stops(run, summary, dry_run=dry_run):
            _read(run, beginning, summary)
    summary.report(run.progress)


def _open(rejected: Path | None, beginning: Beginning, stack: ExitStack) -> RejectionFile | None:
    if rejected is None:
        return None
    return stack.enter_context(closing(RejectionFile(rejected, beginning.progress.rejected_bytes or 0)))


def _read(run: ImportRun, beginning: Beginning, summary: Summary) -> None:
    """Import the records; `closing` waits for the batch that is being stored."""
    source, records, progress = beginning
    length = None if source.size is None else source.size - progress.position
    with (
        progress_bar("Importing", length) as advance,
        closing(run.store(read_batches(source, records, Rules()))) as batches,
    ):
        for stored in batches:
            advance(stored.size, stored.lines)
            summary.note(stored.rejections)


@contextmanager
def _source(file: str) -> Iterator[Source]:
    if file == STANDARD_STREAM:
        yield Source(sys.stdin.buffer)
    else:
        with Path(file).open("rb") as stream:
            yield Source(stream)


@contextmanager
def _beginning_errors() -> Iterator[None]:
    """Report in one line why the import cannot begin."""
    try:
        yield
    except SourceError as error:
        raise UnusableFile(str(error)) from None
    except AnotherImportRuns:
        raise Stopped(ANOTHER) from None
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
        raise UnusableFile(message) from None


@contextmanager
def _stops(run: ImportRun, summary: Summary, *, dry_run: bool) -> Iterator[None]:
    """Report the end before the end of the file, and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        reason = "Interrupted. "
    except Conflict as conflict:
        reason = CONFLICT.format(conflict.number, conflict)
    except AnotherImportRuns:
        raise Stopped(ANOTHER) from None
    except DBAPIError as error:
        reason = f"The database reports: {' '.join(str(error.orig).split())}. "
    else:
        return
    summary.print_rejections()
    raise Stopped(reason + (NOTHING_CHANGED if dry_run else CONTINUE.format(run.progress.lines)))
