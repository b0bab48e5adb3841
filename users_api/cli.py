"""The commands for operators: `users-api --help`."""

import os
import signal
import sys
from pathlib import Path
from threading import Event
from typing import Any, Final

import click
import uvicorn
from flask import current_app
from flask.cli import AppGroup, ScriptInfo, routes_command, shell_command, with_appcontext
from flask_migrate import upgrade
from flask_migrate.cli import db as migrations
from sqlalchemy import MetaData, Table
from sqlalchemy.exc import DBAPIError

from users_api import seeds
from users_api.app import create_flask_app
from users_api.config import SettingsError, load_settings
from users_api.db import db, schema_is_newer, schema_is_newest
from users_api.http.document import document_path

APPLICATION: Final = "users_api.app:create_app"
SERVER: Final = "python:users_api.http.server"
PROTOCOL: Final = "users_api.http.server:LimitedProtocol"


class Commands(AppGroup):
    """Flask's command group; a wrong setting or a database that refuses ends a command with one line in place of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise click.ClickException(str(error)) from None
        except DBAPIError as error:
            raise click.ClickException(" ".join(str(error.orig).split())) from None


CONTEXT: Final = {"obj": ScriptInfo(create_app=create_flask_app, set_debug_flag=False), "help_option_names": ["-h", "--help"]}


@click.group(cls=Commands, context_settings=CONTEXT)
@click.version_option(package_name="users-api", prog_name="users-api")
def main() -> None:
    """Run and look after the users service.

    The environment configures it: APP_SETTINGS, DATABASE_URL, DATABASE_TEST_URL, SECRET_KEY, PORT, WEB_CONCURRENCY,
    FORWARDED_ALLOW_IPS. Every limit is a setting too: DATABASE_CONNECTIONS, DATABASE_POOL_TIMEOUT, DATABASE_CONNECT_TIMEOUT,
    DATABASE_STATEMENT_TIMEOUT, DATABASE_LOCK_TIMEOUT, DATABASE_IDLE_TIMEOUT, REQUESTS_IN_FLIGHT, REQUEST_TIMEOUT,
    CLIENT_CONNECTIONS, HEAD_LIMIT, HEAD_TIMEOUT, BODY_LIMIT, BODY_TIMEOUT, SEND_TIMEOUT, KEEP_ALIVE, GRACEFUL_TIMEOUT. README
    tells them.
    """


def _unless_newer(command: click.Command) -> click.Command:
    """Return the migrations' command; it passes on what a newer version has migrated, so that a rollback may run it first."""

    @with_appcontext
    def invoke(**options: Any) -> None:
        if not options.get("sql") and schema_is_newer():
            click.echo("A newer version has migrated the database; this version runs on it as it is.")
        else:
            click.get_current_context().invoke(command, **options)

    return click.Command(command.name, callback=invoke, params=command.params, help=command.help)


for name in ("upgrade", "current"):
    migrations.add_command(_unless_newer(migrations.commands[name]))
main.add_command(migrations)
main.add_command(shell_command)
main.add_command(routes_command)


@main.command(with_appcontext=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--migrate", is_flag=True, help="Bring the database to the newest migration first.")
def run(host: str, *, migrate: bool) -> None:
    """Start the development server on $PORT; it reloads when the code or the document changes."""
    settings = load_settings()
    if migrate:
        with create_flask_app().app_context():
            if not schema_is_newer():
                upgrade()
    uvicorn.run(
        APPLICATION,
        factory=True,
        host=host,
        port=settings.PORT,
        reload=True,
        reload_dirs=[str(Path(__file__).parent), str(document_path().parent)],
        reload_includes=["*.py", "*.yaml"],
        http=PROTOCOL,
        lifespan="on",
        ws="none",
        timeout_keep_alive=settings.KEEP_ALIVE,
        timeout_graceful_shutdown=settings.GRACEFUL_TIMEOUT,
    )


@main.command(with_appcontext=False)
def serve() -> None:
    """Start the production server: gunicorn on $PORT with $WEB_CONCURRENCY workers.

    GUNICORN_CMD_ARGS adds options of gunicorn's, like `--access-logfile -`.
    """
    environment = os.environ | {"WEB_CONCURRENCY": str(load_settings().WEB_CONCURRENCY)}  # gunicorn stumbles over an empty one.
    command = [sys.executable, "-m", "gunicorn", "--config", SERVER, f"{APPLICATION}()"]
    os.execve(sys.executable, command, environment)  # noqa: S606 -- no shell; the process becomes gunicorn, so that signals reach it.


@main.command("recreate_db")
@click.option("--force", is_flag=True, help="Do it in production too.")
def recreate_db(*, force: bool) -> None:
    """Drop everything and create it anew: all users are lost."""
    if not (force or current_app.debug or current_app.testing):
        message = "This would drop every user of production. Add --force if that is what you want."
        raise click.ClickException(message)
    db.drop_all()
    Table("alembic_version", MetaData()).drop(db.engine, checkfirst=True)
    upgrade()
    click.echo("The database is empty and at the newest migration.")


@main.command("seed_db")
@click.option("--count", type=click.IntRange(min=1), help="Add this many made-up users instead.")
def seed_db(count: int | None) -> None:
    """Add two users for a start; run again, it adds nothing."""
    if not schema_is_newest():
        message = "The database is not at the newest migration: run `users-api db upgrade` first."
        raise click.ClickException(message)
    added = seeds.add_known_users() if count is None else _add_made_up_users(count)
    if count and added < count:
        message = f"Interrupted: {added} of {count} users were added, and stay."
        raise click.ClickException(message)
    click.echo(f"Added {added} user{'' if added == 1 else 's'}.")


def _add_made_up_users(count: int) -> int:
    """Return how many users were added, to the last one: Ctrl-C lets the batch under way be stored, a second one does not."""
    added, interrupted = 0, Event()

    def interrupt(*_: Any) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, usual)

    usual = signal.signal(signal.SIGINT, interrupt)
    try:
        with click.progressbar(length=count, label="Adding users") as bar:
            for size in seeds.add_made_up_users(count):
                added += size
                bar.update(size)
                if interrupted.is_set():
                    break
    finally:
        signal.signal(signal.SIGINT, usual)
    return added
