"""The settings: read from the environment when the application is created; invalid values are rejected."""

import os
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from ipaddress import ip_network
from typing import Any, Final, Generic, TypeVar

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from users_api.access.discovery import parse_issuer
from users_api.access.keys import SigningKeys
from users_api.observability.configuration import FORMATS, LEVELS
from users_api.observability.trace_settings import trace_problems
from users_api.rate_limits.limits import RateLimits
from users_api.rate_limits.redis_on_demand import redis_url
from users_api.server.slots import MAX_WORKERS

DEFAULT_SETTINGS: Final = "users_api.config.DevelopmentConfig"
DEFAULT_SECRET_KEY: Final = "my_precious"  # noqa: S105 -- the public default, refused in production.
MIN_SECRET_KEY_LENGTH: Final = 32
MULTI_HOST_URL: Final = re.compile(r"((?>[^:]+://(?:[^@/]*@)?))([^/?@]*,[^/?@]*)(.*)")
HOST_NAME: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
ORIGIN: Final = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[^]]*\]|[^:]*)(?::([1-9][0-9]{0,4}))?")
DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
LARGEST_PORT: Final = 65535
LOOPBACK_HOSTS: Final = "localhost,127.0.0.1,[::1]"
AUTH_VALUES: Final = ("required", "none")
MAX_AUDIENCE_LENGTH: Final = 256
AUDIENCE_MISSING: Final = (
    "Set AUTH_AUDIENCE to the audience that the tokens of AUTH_ISSUER have for this service."
)
TWO_ISSUERS: Final = "Unset AUTH_ISSUER or TOKEN_KEYS: tokens come from one issuer only."
KEYS_MISSING: Final = (
    "Set TOKEN_KEYS to the key that signs access tokens, which `users-api generate_key` prints; "
    "or set AUTH_ISSUER to the issuer of the tokens."
)
NO_TOKENS_TO_LIMIT: Final = (
    "TOKEN_RATE_LIMIT has no effect, because the service issues no tokens; unset it, "
    "or set AUTH to `required` without AUTH_ISSUER."
)
NOTHING_TO_STORE: Final = "RATE_LIMIT_STORE has no effect without a rate limit; unset it, or set RATE_LIMIT."
DECIMAL_NUMBER: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


class SettingsError(ValueError):
    """An environment variable is missing or wrong; the message is one line that says what to set."""


Value = TypeVar("Value")


class EnvironmentVariable(Generic[Value]):
    """A class attribute that reads its value from the environment each time.

    Raises:
        SettingsError: the value is wrong, or there is none and no default.
    """

    def __init__(
        self, name: str, parse: Callable[[str], Value], *, default: str | None = None, missing: str = ""
    ) -> None:
        """Store the variable's name, the parser, and a default or the message for a missing value."""
        self.name, self.parse, self.default, self.missing = name, parse, default, missing

    def __get__(self, _settings: object, _owner: type) -> Value:
        """Return the current value; an empty variable counts as missing."""
        text = os.environ.get(self.name) or self.default
        if text is None:
            raise SettingsError(self.missing)
        try:
            return self.parse(text)
        except ValueError as error:
            message = f"{self.name} {error}"
            raise SettingsError(message) from None


def database_url(text: str) -> str:
    """Return the SQLAlchemy URL, always with psycopg2 for PostgreSQL; the only other database is SQLite.

    Heroku writes `postgres://`, and SQLAlchemy 2.1 reads a bare `postgresql://` as psycopg 3. libpq reads
    several hosts before the path (PostgreSQL's documentation, 32.1.1.3), and SQLAlchemy in the query.
    """
    before, hosts, after = found.groups() if (found := MULTI_HOST_URL.fullmatch(text)) else (text, "", "")
    try:
        url = make_url(before + after).update_query_pairs(("host", host) for host in hosts.split(",") if host)
    except (ArgumentError, ValueError):  # ValueError is for a port that is not a number.
        message = "is not a database URL; write postgresql://USER:PASSWORD@HOST:PORT/NAME"
        raise ValueError(message) from None
    if url.drivername in {"postgres", "postgresql", "postgresql+psycopg2"}:
        url = url.set(drivername="postgresql+psycopg2")
        if text.count("@") > 1:  # Part of the password would become the host, which messages name.
            message = "has more than one @; write %40 for each but the one before the host"
            raise ValueError(message)
    elif url.drivername != "sqlite":
        message = f"names the database {url.drivername!r}; only postgresql:// and sqlite:// are supported"
        raise ValueError(message)
    return url.render_as_string(hide_password=False)


def integer_between(smallest: int, largest: int) -> Callable[[str], int]:
    """Return a parser of whole numbers between the bounds, both included."""

    def parse(text: str) -> int:
        if text.isascii() and text.isdigit() and smallest <= (number := int(text[:20])) <= largest:
            return number
        message = f"must be a whole number from {smallest} to {largest}, not {text!r}"
        raise ValueError(message)

    return parse


def seconds_between(smallest: float, largest: float) -> Callable[[str], float]:
    """Return a parser of seconds between the bounds, both included; fractions are allowed."""

    def parse(text: str) -> float:
        if DECIMAL_NUMBER.fullmatch(text) and smallest <= (number := float(text)) <= largest:
            return number
        message = f"must be seconds from {smallest:g} to {largest:g}, not {text!r}"
        raise ValueError(message)

    return parse


def share(text: str) -> float:
    """Return the share of a whole, from 0 to 1."""
    if DECIMAL_NUMBER.fullmatch(text) and (number := float(text)) <= 1:
        return number
    message = f"must be a decimal number from 0 to 1, not {text!r}"
    raise ValueError(message)


def networks(text: str) -> str:
    """Return the addresses and networks, or `*` for all, unchanged: gunicorn parses them itself."""
    try:
        for each in text.split(","):
            ip_network("::/0" if each.strip() == "*" else each.strip())
    except ValueError:
        message = f"must be addresses or networks like 10.0.0.0/8, separated by commas, not {text!r}"
        raise ValueError(message) from None
    return text


def host_names(text: str) -> frozenset[str] | None:
    """Return the host names in lower case, or None for `*`, which allows every host."""
    names = [name.strip().lower() for name in text.split(",")]
    if names == ["*"]:
        return None
    for name in names:
        if not HOST_NAME.fullmatch(name):
            message = f"must be host names without ports, separated by commas, or `*`, not {text!r}"
            raise ValueError(message)
    return frozenset(names)


def origins(text: str) -> frozenset[str]:
    """Return the origins as browsers send them (RFC 6454, 6.2), only `*` for all, none for an empty text."""
    every = frozenset(origin.strip() for origin in text.split(",")) if text else frozenset[str]()
    if every == {"*"} or all(map(_is_origin, every)):
        return every
    message = (
        "must be origins like https://app.example.org, in lower case, without a path or a default port, "
        f"separated by commas, or `*`, not {text!r}"
    )
    raise ValueError(message)


def _is_origin(text: str) -> bool:
    found = ORIGIN.fullmatch(text)
    if not found:
        return False
    scheme, host, port = found.groups()
    is_valid_port = port is None or (int(port) <= LARGEST_PORT and port != DEFAULT_PORTS.get(scheme))
    return is_valid_port and HOST_NAME.fullmatch(host) is not None


def secret_key(text: str) -> str | None:
    """Return the key, or None for an empty text: nothing is signed yet, so no key is needed."""
    if text and (text == DEFAULT_SECRET_KEY or len(text) < MIN_SECRET_KEY_LENGTH):
        message = (
            f"must have at least {MIN_SECRET_KEY_LENGTH} characters and not be the default; "
            "unset it, or use 32 random bytes"
        )
        raise ValueError(message)
    return text or None


def access_mode(text: str) -> bool:
    """Return whether operations require access tokens."""
    if text not in AUTH_VALUES:
        message = f"must be `required` or `none`, not {text!r}"
        raise ValueError(message)
    return text == "required"


def one_of(*values: str) -> Callable[[str], str]:
    """Return a parser of a choice between these values."""

    def parse(text: str) -> str:
        if text in values:
            return text
        message = f"must be {', '.join(f'`{each}`' for each in values[:-1])} or `{values[-1]}`, not {text!r}"
        raise ValueError(message)

    return parse


def audience(text: str) -> str:
    """Return the audience, which names this service in access tokens (RFC 9068, 2.2)."""
    if len(text) > MAX_AUDIENCE_LENGTH or not (text.isascii() and text.isprintable()):
        message = f"must be at most {MAX_AUDIENCE_LENGTH} printable ASCII characters"
        raise ValueError(message)
    return text


def token_keys(text: str) -> SigningKeys | None:
    """Return the keys that sign and verify access tokens, or None for an empty text."""
    return SigningKeys.parse(text) if text else None


def optional(parse: Callable[[str], Value]) -> Callable[[str], Value | None]:
    """Return a parser that returns None for an empty text, which is the default."""
    return lambda text: parse(text) if text else None


class ConnectionsPerWorker:
    """The database connections of one worker: an equal share of the instance's, and at least one.

    Raises:
        SettingsError: there are more workers than connections.
    """

    def __get__(self, _settings: object, owner: "type[Config]") -> int:
        """Return the current share."""
        if owner.WEB_CONCURRENCY > owner.DATABASE_CONNECTIONS:
            message = (
                f"DATABASE_CONNECTIONS must be at least {owner.WEB_CONCURRENCY}, "
                "one for each of WEB_CONCURRENCY's workers"
            )
            raise SettingsError(message)
        return owner.DATABASE_CONNECTIONS // owner.WEB_CONCURRENCY


class Config:
    """The settings that all classes share."""

    TESTING = False
    DEBUG = False
    SECRET_KEY: Any = DEFAULT_SECRET_KEY
    SQLALCHEMY_DATABASE_URI: Any = ""
    AUTH = EnvironmentVariable("AUTH", access_mode, default="none")
    AUTH_ISSUER = EnvironmentVariable("AUTH_ISSUER", optional(parse_issuer), default="")
    AUTH_AUDIENCE = EnvironmentVariable("AUTH_AUDIENCE", audience, default="")
    TOKEN_KEYS = EnvironmentVariable("TOKEN_KEYS", token_keys, default="")
    RATE_LIMIT = EnvironmentVariable("RATE_LIMIT", optional(RateLimits.parse), default="")
    TOKEN_RATE_LIMIT = EnvironmentVariable("TOKEN_RATE_LIMIT", optional(RateLimits.parse), default="")
    RATE_LIMIT_STORE = EnvironmentVariable("RATE_LIMIT_STORE", optional(redis_url), default="")
    ALLOWED_HOSTS = EnvironmentVariable("ALLOWED_HOSTS", host_names, default="*")
    CORS_ORIGINS = EnvironmentVariable("CORS_ORIGINS", origins, default="")
    CONTRACT_SAMPLE = EnvironmentVariable("CONTRACT_SAMPLE", share, default="0")
    PORT = EnvironmentVariable("PORT", integer_between(1, LARGEST_PORT), default="5000")
    WEB_CONCURRENCY = EnvironmentVariable("WEB_CONCURRENCY", integer_between(1, MAX_WORKERS), default="2")
    FORWARDED_ALLOW_IPS = EnvironmentVariable("FORWARDED_ALLOW_IPS", networks, default="127.0.0.1,::1")
    DATABASE_CONNECTIONS = EnvironmentVariable("DATABASE_CONNECTIONS", integer_between(1, 1000), default="16")
    POOL_SIZE = ConnectionsPerWorker()
    DATABASE_POOL_TIMEOUT = EnvironmentVariable(
        "DATABASE_POOL_TIMEOUT", seconds_between(0.1, 60), default="2"
    )
    DATABASE_CONNECT_TIMEOUT = EnvironmentVariable(
        "DATABASE_CONNECT_TIMEOUT", seconds_between(1, 60), default="3"
    )
    DATABASE_STATEMENT_TIMEOUT = EnvironmentVariable(
        "DATABASE_STATEMENT_TIMEOUT", seconds_between(0, 600), default="5"
    )
    DATABASE_LOCK_TIMEOUT = EnvironmentVariable("DATABASE_LOCK_TIMEOUT", seconds_between(0, 600), default="4")
    DATABASE_IDLE_TIMEOUT = EnvironmentVariable(
        "DATABASE_IDLE_TIMEOUT", seconds_between(0, 600), default="10"
    )
    REQUESTS_IN_FLIGHT = EnvironmentVariable("REQUESTS_IN_FLIGHT", integer_between(1, 100_000), default="256")
    REQUEST_TIMEOUT = EnvironmentVariable("REQUEST_TIMEOUT", seconds_between(0.1, 600), default="8")
    CLIENT_CONNECTIONS = EnvironmentVariable(
        "CLIENT_CONNECTIONS", integer_between(1, 1_000_000), default="4000"
    )
    HEAD_LIMIT = EnvironmentVariable("HEAD_LIMIT", integer_between(1024, 1024**2), default="65536")
    HEAD_TIMEOUT = EnvironmentVariable("HEAD_TIMEOUT", seconds_between(0.1, 600), default="10")
    BODY_LIMIT = EnvironmentVariable("BODY_LIMIT", integer_between(1024, 1024**3), default="1048576")
    BODY_TIMEOUT = EnvironmentVariable("BODY_TIMEOUT", seconds_between(0.1, 600), default="10")
    MEMORY_BUDGET = EnvironmentVariable(
        "MEMORY_BUDGET", integer_between(4 * 1024**2, 1024**4), default="67108864"
    )
    SEND_TIMEOUT = EnvironmentVariable("SEND_TIMEOUT", seconds_between(0.1, 600), default="20")
    KEEP_ALIVE = EnvironmentVariable("KEEP_ALIVE", integer_between(1, 3600), default="95")
    GRACEFUL_TIMEOUT = EnvironmentVariable("GRACEFUL_TIMEOUT", integer_between(1, 600), default="20")
    LOG_LEVEL = EnvironmentVariable("LOG_LEVEL", one_of(*LEVELS), default="info")
    LOG_FORMAT = EnvironmentVariable("LOG_FORMAT", one_of(*FORMATS), default="text")


class DevelopmentConfig(Config):
    """Development on a local machine: an SQLite file in `instance` unless DATABASE_URL is set."""

    DEBUG = True
    ALLOWED_HOSTS = EnvironmentVariable("ALLOWED_HOSTS", host_names, default=LOOPBACK_HOSTS)
    CONTRACT_SAMPLE = EnvironmentVariable("CONTRACT_SAMPLE", share, default="1")
    SQLALCHEMY_DATABASE_URI = EnvironmentVariable("DATABASE_URL", database_url, default="sqlite:///users.db")


class TestingConfig(Config):
    """Settings for the tests."""

    TESTING = True
    SQLALCHEMY_DATABASE_URI = EnvironmentVariable(
        "DATABASE_TEST_URL",
        database_url,
        missing="Set DATABASE_TEST_URL to the database of the tests: they empty it.",
    )


class ProductionConfig(Config):
    """Production: no setting has an unsafe default."""

    AUTH = EnvironmentVariable(
        "AUTH",
        access_mode,
        missing="Set AUTH to `required`, so that clients need access tokens; or to `none`, so that "
        "any client that can reach the port can read and change all users.",
    )
    SECRET_KEY = EnvironmentVariable("SECRET_KEY", secret_key, default="")
    LOG_FORMAT = EnvironmentVariable("LOG_FORMAT", one_of(*FORMATS), default="json")
    SQLALCHEMY_DATABASE_URI = EnvironmentVariable(
        "DATABASE_URL",
        database_url,
        missing="Set DATABASE_URL to the database, like postgresql://USER:PASSWORD@HOST:PORT/NAME.",
    )


def load_settings() -> type[Config]:
    """Return the settings class that APP_SETTINGS names, after reading each of its values once.

    Raises:
        SettingsError: APP_SETTINGS names no settings class, or one of the class's values is wrong.
    """
    settings = settings_class()
    for problem in settings_problems(settings):
        raise SettingsError(problem)
    return settings


def settings_class() -> type[Config]:
    """Return the settings class that APP_SETTINGS names, without reading its values.

    Raises:
        SettingsError: APP_SETTINGS names no settings class.
    """
    path = os.environ.get("APP_SETTINGS") or DEFAULT_SETTINGS
    module, _, name = path.rpartition(".")
    try:
        settings = getattr(import_module(module), name)
    except (ImportError, AttributeError, TypeError, ValueError):
        settings = None
    if not (isinstance(settings, type) and issubclass(settings, Config) and settings is not Config):
        message = f"APP_SETTINGS must name a settings class like {DEFAULT_SETTINGS}, not {path!r}"
        raise SettingsError(message)
    return settings


def settings_problems(settings: type[Config]) -> list[str]:
    """Return every wrong value; only if there is none, also the values that do not fit together."""
    wrong = dict.fromkeys(_wrong_values(settings))  # POOL_SIZE repeats what is wrong with its parts.
    return list(wrong) or [
        *_access_problems(settings),
        *_memory_problems(settings),
        *trace_problems(os.environ),
    ]


def _wrong_values(settings: type[Config]) -> Iterator[str]:
    for setting in filter(str.isupper, dir(settings)):
        try:
            getattr(settings, setting)
        except SettingsError as error:
            yield str(error)


def _memory_problems(settings: type[Config]) -> Iterator[str]:
    if settings.MEMORY_BUDGET < 2 * settings.BODY_LIMIT:
        yield (
            f"MEMORY_BUDGET must be at least {2 * settings.BODY_LIMIT}, twice BODY_LIMIT: "
            "half of it is for request bodies"
        )


def _access_problems(settings: type[Config]) -> Iterator[str]:
    """Yield how the settings of access tokens do not fit together: none of them is ignored."""
    given = [name for name in ("AUTH_ISSUER", "AUTH_AUDIENCE", "TOKEN_KEYS") if getattr(settings, name)]
    if not settings.AUTH:
        yield from (
            f"{name} has no effect with AUTH=none; unset it, or set AUTH to `required`." for name in given
        )
    elif settings.AUTH_ISSUER and not settings.AUTH_AUDIENCE:
        yield AUDIENCE_MISSING
    elif not (settings.AUTH_ISSUER or settings.TOKEN_KEYS or settings.DEBUG or settings.TESTING):
        yield KEYS_MISSING
    if settings.AUTH_ISSUER and settings.TOKEN_KEYS:
        yield TWO_ISSUERS
    yield from _rate_limit_problems(settings, issues_tokens=settings.AUTH and not settings.AUTH_ISSUER)


def _rate_limit_problems(settings: type[Config], *, issues_tokens: bool) -> Iterator[str]:
    if settings.TOKEN_RATE_LIMIT and not issues_tokens:
        yield NO_TOKENS_TO_LIMIT
    if settings.RATE_LIMIT_STORE and not (settings.RATE_LIMIT or issues_tokens):
        yield NOTHING_TO_STORE
