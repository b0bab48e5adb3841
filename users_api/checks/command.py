"""The command `users-api check`."""

import os
import shutil
import sys
from importlib.metadata import version
from typing import Final

import click

from users_api.checks.findings import State
from users_api.checks.groups import checked_groups
from users_api.checks.json_report import render_json
from users_api.checks.running import run
from users_api.checks.screen import WIDEST, render

STRICT_HELP: Final = "Exit with status 1 for warnings, too."
JSON_HELP: Final = "Print one JSON document, which docs/operations.md describes."


@click.command()
@click.option("--json", "as_json", is_flag=True, help=JSON_HELP)
@click.option("--strict", is_flag=True, help=STRICT_HELP)
@click.pass_context
def check(context: click.Context, *, as_json: bool, strict: bool) -> None:
    """Check settings, database, access and rate limits, and print what to do.

    It reads the settings as `users-api serve` does, connects to the database, the issuer of access tokens
    and Redis, and changes no users, clients or migrations. It prints no passwords or keys. Each check has a
    limit of time, and one that fails does not prevent the others: what depends on it is "not checked".

    The exit status is 0 if there is no problem, although there may be warnings, and 1 otherwise.
    """
    results, hangs = run(checked_groups())
    failing = {State.PROBLEM, State.WARNING} if strict else {State.PROBLEM}
    is_in_order = not any(result.finding.state in failing for result in results)
    name = version("users-api")
    if as_json:
        click.echo(render_json(name, results, is_in_order=is_in_order))
    else:
        columns = shutil.get_terminal_size((WIDEST, 0)).columns
        colored = False if os.environ.get("NO_COLOR") else None  # None asks the terminal (no-color.org).
        click.echo(render(f"users-api {name}", results, columns=columns), color=colored)
    if hangs:  # An ordinary exit waits for name resolution, which asyncio leaves to threads.
        sys.stdout.flush()
        os._exit(1)
    context.exit(0 if is_in_order else 1)
