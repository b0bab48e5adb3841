"""What an import reports at its end, on standard error."""

from collections.abc import Sequence
from typing import Final, NoReturn

import click

from users_api.transfer.beginning import Options
from users_api.transfer.progress import Progress
from users_api.transfer.rules import Rejection

MOST_PRINTED: Final = 10
COUNTS: Final = "{0.added:,} added, {0.updated:,} updated, {0.skipped:,} skipped, {0.rejected:,} rejected."
TITLES: Final = {False: "Imported {}: ", True: "Dry run of {}, nothing was changed: "}
ALREADY: Final = "{} was imported already, on {}; pass --restart to import it again. It was: "
LISTED: Final = "{} lists the rejected lines."
NOT_LISTED: Final = "To list all rejected lines, add --dry-run --restart --rejected FILE."


class Summary:
    """The report of one command about one file."""

    def __init__(self, file: str, options: Options) -> None:
        """Start without rejections."""
        self._file, self._options = file, options
        self._first: list[Rejection] = []

    def note(self, rejections: Sequence[Rejection]) -> None:
        """Keep the first rejections, which are printed unless they are in a file."""
        self._first += rejections[: MOST_PRINTED - len(self._first)]

    def report(self, progress: Progress) -> NoReturn:
        """Print the counts, and exit with status 1 if lines were rejected."""
        click.echo(TITLES[self._options.dry_run].format(self._file) + COUNTS.format(progress), err=True)
        self._report_rejections(progress)

    def report_earlier(self, progress: Progress) -> NoReturn:
        """Print the counts of an import that had finished before, and exit with its status."""
        title = ALREADY.format(self._file, f"{progress.finished_date:%Y-%m-%d}")
        click.echo(title + COUNTS.format(progress), err=True)
        self._report_rejections(progress)

    def print_rejections(self) -> None:
        """Print the first rejections."""
        if not self._options.rejected:
            for number, _, errors in self._first:
                reasons = "; ".join(f"{field} {message}".strip() for field, message in errors)
                click.echo(f"Line {number:,}: {reasons}", err=True)

    def _report_rejections(self, progress: Progress) -> NoReturn:
        self.print_rejections()
        if progress.rejected:
            file = self._options.rejected
            click.echo(LISTED.format(file) if file else NOT_LISTED, err=True)
        click.get_current_context().exit(min(progress.rejected, 1))
