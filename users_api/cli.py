"""The command line interface: `users-api --help`."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any, Final

import click
from flask import Flask, current_app
from flask.cli import AppGroup, ScriptInfo, routes_command, shell_command, with_appcontext
from flask_migrate import upgrade
from flask_migrate.cli import db as migrations
from sqlalchemy import MetaData, Table, make_url
from sqlalchemy.exc import DBAPIError
from yaml import MarkedYAMLError

from users_api import clients, seeds
from users_api.access.keys import generate_key
from users_api.app import MIGRATIONS, create_flask_app
from users_api.checks.command import check
from users_api.config import Config, SettingsError, load_settings
from users_api.database import MigrationsNotFound, db, newest_migration, schema_is_newer, schema_is_newest
from users_api.development import STARTUP_MESSAGE_VARIABLE, describe_error
from users_api.document import document_path, scopes
from users_api.engine.failures import DocumentError
from users_api.models import LONGEST_CLIENT_NAME
from users_api.server.descriptors import TooFewDescriptors, allow_descriptors
from users_api.server.listener import is_port_in_use, port_in_use_message
from users_api.serving import server_options
from users_api.transfer.export_command import export_command
from users_api.transfer.import_command import import_command

APPLICATION_FACTORY: Final = "users_api.app:create_app"
DEVELOPMENT_FACTORY: Final = "users_api.development:create_app"
DEVELOPMENT_PROTOCOL: Final = "users_api.development:create_protocol"
GUNICORN_CONFIG: Final = "python:users_api.gunicorn_conf"
RELOADED_FILES: Final = ("*.py", "*.yaml", "*.html", "*.js", "*.css")
STARTED_MESSAGE: Final = """
  Swagger UI  http://{host}:{port}/ui/
  Database    {database}
  Stop        Ctrl-C
"""
NEWER_SCHEMA_HELP: Final = (
    "If a newer version has already migrated the database, the command reports that and changes nothing."
)
NO_TOKENS_NOTICE: Final = (
    "Warning: with these settings the service issues no tokens, so the client cannot log in. "
    "That needs AUTH=required, without AUTH_ISSUER."
)
DOWNGRADE_HELP: Final = "Reverting the first migration deletes all users, and the third one all clients."
PASSWORDS: Final = ("password", "sslpassword")  # libpq also reads them from the query.
FORCE_HELP: Final = "Allow it with production settings."
DEVELOPMENT_NOTICE: Final = (
    "Serving {database} with development settings on all interfaces; "
    "set APP_SETTINGS and DATABASE_URL for production, and ALLOWED_HOSTS for clients on other machines."
)

EVERY_HOST_NOTICE: Final = (
    "Warning: every host is allowed and there is no authentication. "
    "Set ALLOWED_HOSTS to the host names of this service, separated by commas."
)
EVERY_ORIGIN_NOTICE: Final = (
    "Warning: every origin is allowed and there is no authentication: any web page can read and change all "
    "users through the browsers of its visitors. Set CORS_ORIGINS to the origins of your own pages."
)


class CommandGroup(AppGroup):
    """Flask's command group; a wrong setting, document or database ends a command with one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (SettingsError, DocumentError, MarkedYAMLError, MigrationsNotFound) as error:
            raise click.ClickException(describe_error(error)) from None
        except DBAPIError as error:
            message = f"{_database_name(load_settings())} reports: {' '.join(str(error.orig).split())}"
            raise click.ClickException(message) from None


CONTEXT_SETTINGS: Final = {
    "obj": ScriptInfo(create_app=create_flask_app, set_debug_flag=False),
    "help_option_names": ["-h", "--help"],
}


@click.group(cls=CommandGroup, context_settings=CONTEXT_SETTINGS)
@click.version_option(package_name="users-api", prog_name="users-api")
def main() -> None:
    """Run and administer the users service.

    Environment variables configure the service; docs/settings.md describes each one and its default.

    General: APP_SETTINGS, DATABASE_URL, DATABASE_TEST_URL, SECRET_KEY, ALLOWED_HOSTS, CORS_ORIGINS, PORT,
    WEB_CONCURRENCY, FORWARDED_ALLOW_IPS, CONTRACT_SAMPLE.

    Access: AUTH, TOKEN_KEYS, AUTH_ISSUER, AUTH_AUDIENCE, RATE_LIMIT, TOKEN_RATE_LIMIT, RATE_LIMIT_STORE.

    Limits: DATABASE_CONNECTIONS, DATABASE_POOL_TIMEOUT, DATABASE_CONNECT_TIMEOUT, DATABASE_STATEMENT_TIMEOUT,
    DATABASE_LOCK_TIMEOUT, DATABASE_IDLE_TIMEOUT, REQUESTS_IN_FLIGHT, REQUEST_TIMEOUT, CLIENT_CONNECTIONS,
    HEAD_LIMIT, HEAD_TIMEOUT, BODY_LIMIT, BODY_TIMEOUT, MEMORY_BUDGET, SEND_TIMEOUT, KEEP_ALIVE,
    GRACEFUL_TIMEOUT.

    Logs: LOG_LEVEL, LOG_FORMAT.
    """


def _skip_on_newer_schema(command: click.Command) -> click.Command:
    """Return the command, which does nothing on a newer schema: a rolled-back release still runs it."""

    @with_appcontext
    def invoke(**options: Any) -> None:
        if not options.get("sql") and schema_is_newer():
            click.echo("A newer version has already migrated the database; this version can use it.")
        else:
            click.get_current_context().invoke(command, **options)

    return _with_help(command, f"{command.help}\n\n{NEWER_SCHEMA_HELP}", invoke)


def _refuse_without(force: bool, consequence: str) -> None:  # noqa: FBT001 -- the condition itself.
    """Raise unless `--force` is given or the settings are not those of production."""
    if not (force or current_app.debug or current_app.testing):
        message = f"{consequence}; pass --force to run it with production settings."
        raise click.ClickException(message)


def _with_help(
    command: click.Command, text: str, callback: Callable[..., Any] | None = None
) -> click.Command:
    """Return a copy of a library's command with this service's help text."""
    return click.Command(
        command.name, callback=callback or command.callback, params=command.params, help=text
    )


def _require_force(command: click.Command) -> click.Command:
    """Return the command that reverts migrations, which requires `--force` with production settings."""

    @with_appcontext
    def invoke(*, force: bool, **options: Any) -> None:
        if not options["sql"]:
            _refuse_without(force, "db downgrade reverts migrations and may delete all users and clients")
        click.get_current_context().invoke(command, **options)

    result = _with_help(command, f"{command.help}\n\n{DOWNGRADE_HELP}", invoke)
    result.params = [*command.params, click.Option(["--force"], is_flag=True, help=FORCE_HELP)]
    return result


for name in ("upgrade", "current"):
    migrations.add_command(_skip_on_newer_schema(migrations.commands[name]))
migrations.add_command(_require_force(migrations.commands["downgrade"]))
main.add_command(migrations)
main.add_command(check)
main.add_command(_with_help(shell_command, "Start a Python shell with `app`, `db` and `User` defined."))
main.add_command(
    _with_help(routes_command, "List the paths of the OpenAPI document with their methods and endpoints.")
)

main.add_command(export_command)
main.add_command(import_command)


port_option = click.option(
    "--port", type=click.IntRange(1, 65535), help="Listen on this port instead of $PORT."
)


@main.command(with_appcontext=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="Listen on this address.")
@port_option
@click.option("--migrate", is_flag=True, help="Upgrade the database to the newest migration first.")
@click.option(
    "--seed", is_flag=True, help="Add two example users first, if the development database is empty."
)
def run(host: str, port: int | None, *, migrate: bool, seed: bool) -> None:
    """Start the development server.

    The server listens on $PORT and reloads when the code, the OpenAPI document or a page changes. If a change
    breaks the application, every response is a 503 that names the error and its line.
    """
    settings = load_settings()
    port = port or settings.PORT
    if is_port_in_use(host, port):
        raise click.ClickException(port_in_use_message(port))
    if migrate or seed:
        _prepare_database(migrate=migrate, seed=seed and settings.DEBUG)
    package = Path(__file__).parent
    options = {
        "--app-dir": package.parent,
        "--host": host,
        "--port": port,
        "--http": DEVELOPMENT_PROTOCOL,
        "--lifespan": "on",
        "--ws": "none",
        "--timeout-keep-alive": settings.KEEP_ALIVE,
        "--timeout-graceful-shutdown": settings.GRACEFUL_TIMEOUT,
    }
    watched = [
        "--reload",
        f"--reload-dir={package}",
        f"--reload-dir={document_path().parent}",
        *(f"--reload-include={pattern}" for pattern in RELOADED_FILES),
    ]
    arguments = [f"{name}={value}" for name, value in options.items()]
    program = [sys.executable, "-P", "-m", "uvicorn", DEVELOPMENT_FACTORY, "--factory", "--no-server-header"]
    program.append("--no-access-log")  # The service logs requests itself.
    command = [*program, *watched, *arguments]
    started = STARTED_MESSAGE.format(
        host=_browser_host(host), port=port, database=_database_location(settings)
    )
    os.execve(sys.executable, command, os.environ | {STARTUP_MESSAGE_VARIABLE: started, "PORT": str(port)})  # noqa: S606 -- see `serve`.


def _prepare_database(*, migrate: bool, seed: bool) -> None:
    with create_flask_app().app_context():
        if migrate and not schema_is_newer():
            upgrade()
        if seed:
            seeds.add_known_users_to_empty_table()
        db.engine.dispose()


def _browser_host(host: str) -> str:
    """Return the host as part of a URL for a browser; a wildcard address becomes the loopback address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- replaced, not listened on.
    return f"[{host}]" if ":" in host else host


def _database_location(settings: type[Config]) -> str:
    """Return the file or the URL of the database, without passwords."""
    url = make_url(settings.SQLALCHEMY_DATABASE_URI)
    # Flask-SQLAlchemy's paths are relative to Flask's instance folder.
    if url.get_backend_name() == "sqlite":
        return f"the SQLite file {Path(Flask('users_api').instance_path, url.database or '')}"
    return url.set(drivername="postgresql").difference_update_query(PASSWORDS).render_as_string()


def _database_name(settings: type[Config]) -> str:
    """Return the file of the database, or where its URL is set: libpq's messages name the host themselves."""
    is_sqlite = make_url(settings.SQLALCHEMY_DATABASE_URI).get_backend_name() == "sqlite"
    return _database_location(settings) if is_sqlite else "the database in DATABASE_URL"


@main.command(with_appcontext=False)
@port_option
def serve(port: int | None) -> None:
    """Start the production server.

    gunicorn listens on $PORT of all IPv4 addresses with $WEB_CONCURRENCY workers. On SIGTERM it finishes
    running requests for up to $GRACEFUL_TIMEOUT seconds.

    GUNICORN_CMD_ARGS passes further options, for example `--max-requests 100000`.
    """
    settings = load_settings()
    if settings.DEBUG and not os.environ.get("DATABASE_URL"):
        click.echo(DEVELOPMENT_NOTICE.format(database=_database_location(settings)), err=True)
    if settings.ALLOWED_HOSTS is None and not settings.AUTH:
        click.echo(EVERY_HOST_NOTICE, err=True)
    if "*" in settings.CORS_ORIGINS and not settings.AUTH:
        click.echo(EVERY_ORIGIN_NOTICE, err=True)
    _allow_connections(settings)
    create_flask_app()  # Each worker would report the same DocumentError, with a traceback.
    newest_migration(str(MIGRATIONS))  # The same holds for MigrationsNotFound.
    environment = os.environ | {
        "PORT": str(port or settings.PORT),
        "WEB_CONCURRENCY": str(settings.WEB_CONCURRENCY),  # gunicorn rejects an empty value.
    }
    command = [sys.executable, "-m", "gunicorn", "--config", GUNICORN_CONFIG, f"{APPLICATION_FACTORY}()"]
    os.execve(sys.executable, command, environment)  # noqa: S606 -- gunicorn replaces this process and receives its signals.


def _allow_connections(settings: type[Config]) -> None:
    """Raise the limit of open files, which the server inherits.

    Raises:
        SettingsError: the system does not allow as many as CLIENT_CONNECTIONS needs.
    """
    options = server_options(settings)
    try:
        allow_descriptors(options.descriptors)
    except TooFewDescriptors as error:
        most = max(0, error.limit - options.other_descriptors)
        message = (
            f"CLIENT_CONNECTIONS must be at most {most}, because the system allows {error.limit} open files; "
            "or raise that limit, for example with `ulimit -n`"
        )
        raise SettingsError(message) from None


@main.command("generate_key", with_appcontext=False)
def generate_token_key() -> None:
    """Print a new key for TOKEN_KEYS.

    The first of TOKEN_KEYS signs access tokens, all of them verify. To replace a key, put a new one in front
    of it, and remove the old one when the last token signed with it has expired, 16 minutes later.
    With several instances, first append the new key on all of them.
    """
    click.echo(generate_key())


@main.group("clients", cls=AppGroup)
def client_commands() -> None:
    """Manage the clients that may get access tokens from /oauth/token."""


@client_commands.command("add")
@click.argument("name")
@click.option(
    "--scope", "chosen", multiple=True, required=True, help="What the client may do; repeat it for several."
)
def add(name: str, chosen: tuple[str, ...]) -> None:
    """Add a client, and print its id and its secret.

    The secret is not stored and cannot be printed again. Names may repeat: to replace a secret, add a client
    with the same name, switch to it, and revoke the old one.
    """
    known = scopes()
    for scope in chosen:
        if scope not in known:
            message = f"There is no scope {scope!r}; the document has {', '.join(known)}."
            raise click.BadParameter(message, param_hint="'--scope'")
    if not 1 <= len(name) <= LONGEST_CLIENT_NAME or not name.isprintable() or name != name.strip():
        message = f"A name has 1 to {LONGEST_CLIENT_NAME} printable characters, and no spaces at its ends."
        raise click.BadParameter(message, param_hint="'NAME'")
    settings = load_settings()
    if settings.AUTH_ISSUER or not settings.AUTH:
        click.echo(NO_TOKENS_NOTICE, err=True)
    added = clients.add_client(name, dict.fromkeys(chosen))
    click.echo(f"client_id      {added.client_id}\nclient_secret  {added.secret}")
    click.echo("Store the secret now: it cannot be shown again.", err=True)


@client_commands.command("list")
def list_() -> None:
    """List all clients with their scopes, and when they were added or revoked."""
    for client in clients.list_clients():
        state = f"revoked {client.revoked_date:%Y-%m-%d %H:%M}" if client.revoked_date else "active"
        added = f"{client.created_date:%Y-%m-%d %H:%M}"
        click.echo(f"{client.id}  {added}  {state}  {client.scopes}  {client.name}")


@client_commands.command("revoke")
@click.argument("client_id")
def revoke(client_id: str) -> None:
    """Revoke a client for good; its tokens stop working within 10 seconds."""
    name = clients.revoke_client(client_id)
    if name is None:
        message = f"The client {client_id!r} is unknown or already revoked; see `users-api clients list`."
        raise click.ClickException(message)
    click.echo(f"Revoked {name}. Its tokens stop working within 10 seconds.")


@main.command("recreate_db")
@click.option("--force", is_flag=True, help=FORCE_HELP)
def recreate_db(*, force: bool) -> None:
    """Drop all tables and create them again; deletes all users and clients."""
    _refuse_without(force, "recreate_db deletes all users and clients")
    db.drop_all()
    Table("alembic_version", MetaData()).drop(db.engine, checkfirst=True)
    upgrade()
    click.echo("The database is empty and at the newest migration.")


@main.command("seed_db")
@click.option("--count", type=click.IntRange(min=1), help="Add this many generated users instead.")
def seed_db(count: int | None) -> None:
    """Add two example users, unless their emails exist."""
    if not schema_is_newest():
        message = "The database is not at the newest migration: run `users-api db upgrade` first."
        raise click.ClickException(message)
    added = seeds.add_known_users() if count is None else _add_generated_users(count)
    if count and added < count:
        message = f"Interrupted: added {added} of {count} users."
        raise click.ClickException(message)
    click.echo(f"Added {added} user{'' if added == 1 else 's'}.")


def _add_generated_users(count: int) -> int:
    """Return how many users were added; the first Ctrl-C finishes the batch, a second stops at once."""
    added, interrupted = 0, Event()

    def interrupt(*_: Any) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, usual)

    usual = signal.signal(signal.SIGINT, interrupt)
    try:
        with click.progressbar(length=count, label="Adding users") as bar:
            for size in seeds.add_generated_users(count):
                added += size
                bar.update(size)
                if interrupted.is_set():
                    break
    finally:
        signal.signal(signal.SIGINT, usual)
    return added
