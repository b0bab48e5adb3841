"""Where an import begins: at the first line, or where an earlier process has stopped."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from users_api.transfer.csv_records import CsvRecords
from users_api.transfer.formats import Format
from users_api.transfer.progress import Progress
from users_api.transfer.records import Record, json_records
from users_api.transfer.source import Source, SourceError
from users_api.transfer.tables import Tables

RESTART: Final = "or pass --restart to begin at the first line."
CHANGED: Final = (
    f"The first {{:,}} lines are not those that were imported before: restore them to continue, {RESTART}"
)
CHANGED_PIPE: Final = (
    "The input begins like one that was imported on {}, but then differs: pass --restart to import it."
)
NO_FILE_BEFORE: Final = f"This import began without --rejected: continue without it, {RESTART}"
FILE_BEFORE: Final = f"This import began with --rejected: pass the same file to continue, {RESTART}"
EXISTS: Final = "{} exists: remove it, or choose another file for the rejected lines."


class Options(NamedTuple):
    """The options of `users-api import` that decide where it begins."""

    form: Format
    rejected: Path | None
    restart: bool = False
    dry_run: bool = False


class Beginning(NamedTuple):
    """The source and its records from the place on, and the progress that is recorded."""

    source: Source
    records: Iterator[Record]
    progress: Progress


def begin(tables: Tables, open_source: Callable[[], Source], options: Options) -> Beginning:
    """Find the place, and record the import if it is new.

    Raises:
        SourceError: the source is not the one whose import is recorded, or the options are other ones.
    """
    source = open_source()
    records = read_records(source, options.form)
    with tables.connection.begin():
        found = tables.progress.find(tables.connection, source.identity(options.form))
    if found is None or options.restart:
        return _begin_anew(tables, source, records, options)
    is_same = source.skip_to(found.mark)
    if found.finished_date is None:
        return Beginning(source, records, _continued(found, options, is_same=is_same))
    if is_same and source.is_at_end():
        return Beginning(source, records, found)
    if source.size is None:
        raise SourceError(CHANGED_PIPE.format(f"{found.finished_date:%Y-%m-%d}"))
    source = open_source()
    return _begin_anew(tables, source, read_records(source, options.form), options)


def read_records(source: Source, form: Format) -> Iterator[Record]:
    """Return the records of the source, after reading the header of CSV.

    Raises:
        SourceError: the header is missing or wrong.
    """
    return iter(CsvRecords(source)) if form is Format.CSV else json_records(source)


def _begin_anew(tables: Tables, source: Source, records: Iterator[Record], options: Options) -> Beginning:
    """Record the import, before its file of rejected lines is created."""
    path = options.rejected
    if path and path.exists() and path.stat().st_size and not (options.restart and not options.dry_run):
        raise SourceError(EXISTS.format(path))
    mark, length = source.mark(), None if path is None else 0
    progress = Progress(source.identity(options.form), **mark._asdict(), rejected_bytes=length)
    with tables.connection.begin():
        tables.progress.begin(tables.connection, progress)
    return Beginning(source, records, progress)


def _continued(found: Progress, options: Options, *, is_same: bool) -> Progress:
    """Return the progress; a dry run counts from there, and begins a file of its own."""
    if not is_same:
        raise SourceError(CHANGED.format(found.lines))
    if options.dry_run:
        length = None if options.rejected is None else 0
        return found._replace(added=0, updated=0, skipped=0, rejected=0, rejected_bytes=length)
    if options.rejected and found.rejected_bytes is None:
        raise SourceError(NO_FILE_BEFORE)
    if found.rejected_bytes is not None and not options.rejected:
        raise SourceError(FILE_BEFORE)
    return found
