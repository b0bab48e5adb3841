"""The settings: read from the environment when the application is put together, refused when wrong."""

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, Generic, TypeVar

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

DEFAULT_SETTINGS: Final = "users_api.config.DevelopmentConfig"
DEFAULT_SECRET_KEY: Final = "my_precious"  # noqa: S105 -- the public default, refused in production.
SHORTEST_SECRET_KEY: Final = 32


class SettingsError(ValueError):
    """An environment variable is missing or wrong; the message is one line that says what to set."""


Value = TypeVar("Value")


class Variable(Generic[Value]):
    """A class attribute whose value stands in the environment and is read when it is asked for.

    Raises:
        SettingsError: the value is wrong, or there is none and no default.
    """

    def __init__(self, name: str, parse: Callable[[str], Value], *, default: str | None = None, missing: str = "") -> None:
        """Take the variable's name, what turns its text into a value, and what to do without it."""
        self.name, self.parse, self.default, self.missing = name, parse, default, missing

    def __get__(self, _settings: object, _owner: type) -> Value:
        """Return the value as it stands in the environment now; an empty variable counts as absent."""
        text = os.environ.get(self.name) or self.default
        if text is None:
            raise SettingsError(self.missing)
        try:
            return self.parse(text)
        except ValueError as error:
            message = f"{self.name} {error}"
            raise SettingsError(message) from None


def database_url(text: str) -> str:
    """Return the SQLAlchemy URL, PostgreSQL's always with the psycopg2 driver; other databases are refused.

    `postgres://` is what Heroku writes; SQLAlchemy 2.1 reads a bare `postgresql://` as psycopg 3.
    """
    try:
        url = make_url(text)
    except ArgumentError:
        message = "is not a database URL; write postgresql://USER:PASSWORD@HOST:PORT/NAME"
        raise ValueError(message) from None
    if url.drivername in {"postgres", "postgresql", "postgresql+psycopg2"}:
        url = url.set(drivername="postgresql+psycopg2")
    elif url.drivername != "sqlite":
        message = f"names the database {url.drivername!r}; only postgresql:// and sqlite:// are known"
        raise ValueError(message)
    return url.render_as_string(hide_password=False)


def whole_number(smallest: int, largest: int) -> Callable[[str], int]:
    """Return a parser of decimal whole numbers within the bounds, both included."""

    def parse(text: str) -> int:
        if text.isascii() and text.isdigit() and smallest <= (number := int(text[:20])) <= largest:
            return number
        message = f"must be a whole number from {smallest} to {largest}, not {text!r}"
        raise ValueError(message)

    return parse


def secret_key(text: str) -> str | None:
    """Return the key, or None for the empty text: nothing is signed yet, so none is needed."""
    if text and (text == DEFAULT_SECRET_KEY or len(text) < SHORTEST_SECRET_KEY):
        message = f"must have at least {SHORTEST_SECRET_KEY} characters and not be the default; unset it, or take 32 random bytes"
        raise ValueError(message)
    return text or None


class Share:
    """The connections of one worker: an equal part of what the instance may open, and never none.

    Raises:
        SettingsError: there are more workers than connections.
    """

    def __get__(self, _settings: object, owner: "type[Config]") -> int:
        """Return the part, as the environment stands now."""
        if owner.WEB_CONCURRENCY > owner.DATABASE_CONNECTIONS:
            message = f"DATABASE_CONNECTIONS must be {owner.WEB_CONCURRENCY} at least, one for each of WEB_CONCURRENCY's workers"
            raise SettingsError(message)
        return owner.DATABASE_CONNECTIONS // owner.WEB_CONCURRENCY


class Config:
    """What all settings share."""

    TESTING = False
    DEBUG = False
    SECRET_KEY: Any = DEFAULT_SECRET_KEY
    SQLALCHEMY_DATABASE_URI: Any = ""
    PORT = Variable("PORT", whole_number(1, 65535), default="5000")
    WEB_CONCURRENCY = Variable("WEB_CONCURRENCY", whole_number(1, 256), default="2")
    DATABASE_CONNECTIONS = Variable("DATABASE_CONNECTIONS", whole_number(1, 1000), default="16")
    POOL_SIZE = Share()


class DevelopmentConfig(Config):
    """A person's machine: an SQLite file in the `instance` folder unless DATABASE_URL names another database."""

    DEBUG = True
    SQLALCHEMY_DATABASE_URI = Variable("DATABASE_URL", database_url, default="sqlite:///users.db")


class TestingConfig(Config):
    """The tests."""

    TESTING = True
    SQLALCHEMY_DATABASE_URI = Variable(
        "DATABASE_TEST_URL", database_url, missing="Set DATABASE_TEST_URL to the database of the tests: they empty it."
    )


class ProductionConfig(Config):
    """Real users: nothing here has a default that could be wrong."""

    SECRET_KEY = Variable("SECRET_KEY", secret_key, default="")
    SQLALCHEMY_DATABASE_URI = Variable(
        "DATABASE_URL", database_url, missing="Set DATABASE_URL to the database, like postgresql://USER:PASSWORD@HOST:PORT/NAME."
    )


def load_settings() -> type[Config]:
    """Return the settings class that APP_SETTINGS names, each of its values read once to see that it is right.

    Raises:
        SettingsError: APP_SETTINGS names no settings class, or one of the class's values is wrong.
    """
    path = os.environ.get("APP_SETTINGS") or DEFAULT_SETTINGS
    module, _, name = path.rpartition(".")
    try:
        settings = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        settings = None
    if not (isinstance(settings, type) and issubclass(settings, Config)):
        message = f"APP_SETTINGS must name a settings class like {DEFAULT_SETTINGS}, not {path!r}"
        raise SettingsError(message)
    for setting in filter(str.isupper, dir(settings)):
        getattr(settings, setting)
    return settings
