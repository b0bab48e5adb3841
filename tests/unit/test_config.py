"""The settings classes, and the error message for each wrong value."""

import re
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import make_url

from users_api import config
from users_api.access.keys import generate_key
from users_api.cli import main
from users_api.config import (
    Config,
    DevelopmentConfig,
    EnvironmentVariable,
    ProductionConfig,
    SettingsError,
    TestingConfig,
    load_settings,
)

VARIABLES = (
    "APP_SETTINGS",
    "AUTH",
    "AUTH_AUDIENCE",
    "AUTH_ISSUER",
    "CONTRACT_SAMPLE",
    "DATABASE_TEST_URL",
    "DATABASE_URL",
    "PORT",
    "RATE_LIMIT",
    "RATE_LIMIT_STORE",
    "SECRET_KEY",
    "TOKEN_KEYS",
    "TOKEN_RATE_LIMIT",
    "WEB_CONCURRENCY",
)
KEY = generate_key()
ISSUER = "https://issuer.example"
POSTGRESQL = "postgresql+psycopg2://ada:secret@db:5432/users"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> None:
    """Production settings with a database and without authentication."""
    monkeypatch.setenv("APP_SETTINGS", "users_api.config.ProductionConfig")
    monkeypatch.setenv("AUTH", "none")
    monkeypatch.setenv("DATABASE_URL", POSTGRESQL)


def test_development_requires_no_variables() -> None:
    settings = load_settings()

    assert settings is DevelopmentConfig
    assert (settings.DEBUG, settings.TESTING, settings.SECRET_KEY) == (True, False, "my_precious")
    assert settings.SQLALCHEMY_DATABASE_URI == "sqlite:///users.db"
    assert (settings.PORT, settings.WEB_CONCURRENCY) == (5000, 2)


def test_testing_uses_a_separate_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_SETTINGS", "users_api.config.TestingConfig")
    monkeypatch.setenv("DATABASE_TEST_URL", POSTGRESQL)

    settings = load_settings()

    assert settings is TestingConfig
    assert (settings.DEBUG, settings.TESTING, settings.SECRET_KEY) == (False, True, "my_precious")
    assert settings.SQLALCHEMY_DATABASE_URI == POSTGRESQL


@pytest.mark.usefixtures("production")
def test_production_has_no_default_secret_key() -> None:
    settings = load_settings()

    assert settings is ProductionConfig
    assert (settings.DEBUG, settings.TESTING, settings.SECRET_KEY) == (False, False, None)
    assert settings.SQLALCHEMY_DATABASE_URI == POSTGRESQL


def test_flask_reads_the_settings_class() -> None:
    app = Flask(__name__)

    app.config.from_object("users_api.config.DevelopmentConfig")

    assert app.config["SQLALCHEMY_DATABASE_URI"] == "sqlite:///users.db"
    assert (app.config["PORT"], app.config["SECRET_KEY"]) == (5000, "my_precious")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_postgresql_scheme_selects_psycopg2(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("DATABASE_URL", f"{scheme}://ada:secret@db:5432/users?sslmode=require")

    assert f"{POSTGRESQL}?sslmode=require" == load_settings().SQLALCHEMY_DATABASE_URI


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        (
            "ada:secret@one:5432,two:5433",
            {"user": "ada", "password": "secret", "host": "one,two", "port": "5432,5433"},
        ),
        ("one,two:5433", {"host": "one,two", "port": ",5433"}),
        ("a,da:se,cret@one", {"user": "a,da", "password": "se,cret", "host": "one"}),
        ("a,da:se,cret@one,two", {"user": "a,da", "password": "se,cret", "host": "one,two", "port": ","}),
    ],
)
def test_libpq_receives_all_hosts_of_a_url(
    monkeypatch: pytest.MonkeyPatch, hosts: str, expected: dict[str, str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://{hosts}/users?target_session_attrs=read-write")

    url = make_url(load_settings().SQLALCHEMY_DATABASE_URI)

    assert url.get_dialect()().create_connect_args(url) == (
        [],
        {"dbname": "users", "target_session_attrs": "read-write"} | expected,
    )


@pytest.mark.parametrize("password", ["p/ss", "p#ss", "p?ss", "p:ss", "p,ss", "p ss", "p%40ss"])
def test_every_other_character_may_be_part_of_a_password(
    monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://ada:{password}@db/users")

    url = make_url(load_settings().SQLALCHEMY_DATABASE_URI)

    assert (url.password, url.host) == (password.replace("%40", "@"), "db")


def test_docs_and_help_list_every_setting(root: Path) -> None:
    page, help_text = (root / "docs" / "settings.md").read_text(), main.help
    variables = {
        value.name: value.default for value in vars(Config).values() if isinstance(value, EnvironmentVariable)
    }

    for name, default in variables.items():
        assert re.search(rf"^\|.*`{name}`.*\|.*\|.*{re.escape(str(default))}.*\|$", page, re.MULTILINE), name
        assert name in help_text


@pytest.mark.usefixtures("production")
def test_a_long_secret_key_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "k" * config.MIN_SECRET_KEY_LENGTH)

    assert load_settings().SECRET_KEY == "k" * config.MIN_SECRET_KEY_LENGTH


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        (
            "APP_SETTINGS",
            "nope",
            "APP_SETTINGS must name a settings class like users_api.config.DevelopmentConfig, not 'nope'",
        ),
        ("APP_SETTINGS", "users_api.config.Nope", "APP_SETTINGS must name a settings class"),
        ("APP_SETTINGS", "users_api.nope.Config", "APP_SETTINGS must name a settings class"),
        ("APP_SETTINGS", "users_api.config.Config", "APP_SETTINGS must name a settings class"),
        ("APP_SETTINGS", "..DevelopmentConfig", "APP_SETTINGS must name a settings class"),
        ("APP_SETTINGS", "users_api.config.SettingsError", "APP_SETTINGS must name a settings class"),
        ("APP_SETTINGS", "users_api.config.TestingConfig", "Set DATABASE_TEST_URL"),
        ("DATABASE_URL", "", "Set DATABASE_URL to the database"),
        ("DATABASE_URL", "users", "DATABASE_URL is not a database URL"),
        ("DATABASE_URL", "postgresql://db:port/users", "DATABASE_URL is not a database URL"),
        (
            "DATABASE_URL",
            "postgresql://u:p@ss@db/users",
            "DATABASE_URL has more than one @; write %40 for each but the one before the host",
        ),
        ("DATABASE_URL", "postgresql://u:p@s/s@db/users", "DATABASE_URL has more than one @; write %40"),
        ("DATABASE_URL", "postgres://u:p@ss@one,two/users", "DATABASE_URL has more than one @; write %40"),
        ("DATABASE_URL", "mysql://db/users", "DATABASE_URL names the database 'mysql'"),
        (
            "AUTH",
            "",
            (
                "Set AUTH to `required`, so that clients need access tokens; or to `none`, "
                "so that any client that can reach the port can read and change all users."
            ),
        ),
        ("AUTH", "yes", "AUTH must be `required` or `none`, not 'yes'"),
        ("AUTH", "Required", "AUTH must be `required` or `none`, not 'Required'"),
        (
            "AUTH",
            "required",
            (
                "Set TOKEN_KEYS to the key that signs access tokens, which `users-api generate_key` prints; "
                "or set AUTH_ISSUER to the issuer of the tokens."
            ),
        ),
        ("TOKEN_KEYS", KEY, "TOKEN_KEYS has no effect with AUTH=none; unset it, or set AUTH to `required`."),
        ("TOKEN_KEYS", "short", "TOKEN_KEYS must be "),
        ("AUTH_AUDIENCE", "users", "AUTH_AUDIENCE has no effect with AUTH=none"),
        ("AUTH_AUDIENCE", "a\tb", "AUTH_AUDIENCE must be at most 256 printable ASCII characters"),
        ("AUTH_AUDIENCE", "a" * 257, "AUTH_AUDIENCE must be at most 256 printable ASCII characters"),
        ("AUTH_ISSUER", "https://issuer.example", "AUTH_ISSUER has no effect with AUTH=none"),
        ("AUTH_ISSUER", "http://issuer.example", "AUTH_ISSUER must be a URL like https://issuer.example"),
        ("RATE_LIMIT", "100", "RATE_LIMIT must be limits like 100/minute or 10/second;1000/hour, not '100'"),
        (
            "TOKEN_RATE_LIMIT",
            "1/second",
            "TOKEN_RATE_LIMIT has no effect, because the service issues no tokens",
        ),
        ("RATE_LIMIT_STORE", "redis://127.0.0.1", "RATE_LIMIT_STORE has no effect without a rate limit"),
        ("RATE_LIMIT_STORE", "memcached://a", "RATE_LIMIT_STORE must be a URL like redis://:PASSWORD@HOST"),
        ("SECRET_KEY", "my_precious", "SECRET_KEY must have at least 32 characters"),
        ("SECRET_KEY", "short", "SECRET_KEY must have at least 32 characters"),
        ("PORT", "http", "PORT must be a whole number from 1 to 65535, not 'http'"),
        ("PORT", "0", "PORT must be a whole number"),
        ("PORT", "65536", "PORT must be a whole number"),
        ("PORT", "9" * 5000, "PORT must be a whole number"),
        ("WEB_CONCURRENCY", "-1", "WEB_CONCURRENCY must be a whole number from 1 to 256, not '-1'"),
        ("WEB_CONCURRENCY", "²", "WEB_CONCURRENCY must be a whole number"),
        (
            "FORWARDED_ALLOW_IPS",
            "proxy",
            (
                "FORWARDED_ALLOW_IPS must be addresses or networks like 10.0.0.0/8, "
                "separated by commas, not 'proxy'"
            ),
        ),
        ("FORWARDED_ALLOW_IPS", "::1,10.0.0.1/8", "FORWARDED_ALLOW_IPS must be addresses or networks"),
        (
            "ALLOWED_HOSTS",
            "https://users.example",
            "ALLOWED_HOSTS must be host names without ports, separated by commas, or `*`, not 'https://users.example'",
        ),
        ("ALLOWED_HOSTS", "a,*", "ALLOWED_HOSTS must be host names without ports"),
        ("ALLOWED_HOSTS", "a:80", "ALLOWED_HOSTS must be host names without ports"),
        ("ALLOWED_HOSTS", "a,,b", "ALLOWED_HOSTS must be host names without ports"),
        (
            "CORS_ORIGINS",
            "null",
            (
                "CORS_ORIGINS must be origins like https://app.example.org, in lower case, without a path "
                "or a default port, separated by commas, or `*`, not 'null'"
            ),
        ),
        *(
            ("CORS_ORIGINS", wrong, "CORS_ORIGINS must be origins like https://app.example.org")
            for wrong in [
                " ",
                "app.example.org",
                "https://app.example.org/",
                "https://app.example.org/page",
                "https://app.example.org?page",
                "HTTPS://app.example.org",
                "https://App.example.org",
                "https://äpp.example.org",
                "https://ada@app.example.org",
                "https://*.example.org",
                "https://app.example.org:443",
                "http://app.example.org:80",
                "https://app.example.org:0443",
                "https://app.example.org:65536",
                "https://app.example.org:",
                "https://[::1",
                "file://",
                "*,https://app.example.org",
                "https://app.example.org,",
                "https://app.example.org https://example.org",
            ]
        ),
        *(
            ("CONTRACT_SAMPLE", wrong, f"CONTRACT_SAMPLE must be a decimal number from 0 to 1, not {wrong!r}")
            for wrong in ["1.1", "2", "-0.1", "1e-3", "half", "1%"]
        ),
        ("BODY_LIMIT", "33554433", "MEMORY_BUDGET must be at least 67108866, twice BODY_LIMIT"),
        ("REQUEST_TIMEOUT", "0", "REQUEST_TIMEOUT must be seconds from 0.1 to 600, not '0'"),
        ("REQUEST_TIMEOUT", "nan", "REQUEST_TIMEOUT must be seconds from 0.1 to 600, not 'nan'"),
        (
            "DATABASE_STATEMENT_TIMEOUT",
            "5s",
            "DATABASE_STATEMENT_TIMEOUT must be seconds from 0 to 600, not '5s'",
        ),
    ],
)
@pytest.mark.usefixtures("production")
def test_a_wrong_value_is_reported_in_one_line(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, line: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsError) as raised:
        load_settings()

    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        (
            {"AUTH": "required", "AUTH_ISSUER": ISSUER, "AUTH_AUDIENCE": "users", "TOKEN_KEYS": KEY},
            "Unset AUTH_ISSUER or TOKEN_KEYS: tokens come from one issuer only.",
        ),
        (
            {"AUTH": "required", "AUTH_ISSUER": ISSUER},
            "Set AUTH_AUDIENCE to the audience that the tokens of AUTH_ISSUER have for this service.",
        ),
        (
            {"AUTH_ISSUER": ISSUER, "AUTH_AUDIENCE": "users"},
            "AUTH_ISSUER has no effect with AUTH=none; unset it, or set AUTH to `required`.",
        ),
    ],
    ids=["two issuers", "no audience", "an issuer without authentication"],
)
@pytest.mark.usefixtures("production")
def test_settings_of_tokens_that_contradict_each_other_are_reported(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], line: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as raised:
        load_settings()

    assert str(raised.value) == line


@pytest.mark.parametrize(
    "variables",
    [
        {"TOKEN_KEYS": KEY},
        {"TOKEN_KEYS": f"{KEY}, {generate_key()}", "AUTH_AUDIENCE": "https://users.example"},
        {"AUTH_ISSUER": ISSUER, "AUTH_AUDIENCE": "users"},
    ],
    ids=["one key", "two keys and an audience", "an issuer"],
)
@pytest.mark.usefixtures("production")
def test_production_with_authentication_has_one_issuer(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    monkeypatch.setenv("AUTH", "required")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert load_settings().AUTH is True


@pytest.mark.parametrize("name", ["DevelopmentConfig", "TestingConfig"])
def test_only_production_needs_keys(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("APP_SETTINGS", f"users_api.config.{name}")
    monkeypatch.setenv("DATABASE_TEST_URL", POSTGRESQL)
    without = load_settings().AUTH
    monkeypatch.setenv("AUTH", "required")

    assert (without, load_settings().AUTH, load_settings().TOKEN_KEYS) == (False, True, None)


@pytest.mark.parametrize("trusted", ["*", "10.0.0.0/8, ::1"])
@pytest.mark.usefixtures("production")
def test_trusted_proxies_are_passed_to_gunicorn_unchanged(
    monkeypatch: pytest.MonkeyPatch, trusted: str
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)

    assert trusted == load_settings().FORWARDED_ALLOW_IPS


@pytest.mark.usefixtures("production")
def test_production_allows_every_host_unless_some_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    every = load_settings().ALLOWED_HOSTS
    monkeypatch.setenv("ALLOWED_HOSTS", "Users.Example.org, 10.0.0.1,[::1]")

    assert every is None
    assert {"users.example.org", "10.0.0.1", "[::1]"} == load_settings().ALLOWED_HOSTS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", set()),
        ("*", {"*"}),
        (" * ", {"*"}),
        (
            "https://app.example.org, http://localhost:3000,http://[::1]:65535",
            {"https://app.example.org", "http://localhost:3000", "http://[::1]:65535"},
        ),
        ("https://a.example:80,http://a.example:443", {"https://a.example:80", "http://a.example:443"}),
        ("moz-extension://0f3e6f6e-1c2b-4a55", {"moz-extension://0f3e6f6e-1c2b-4a55"}),
    ],
)
@pytest.mark.usefixtures("production")
def test_cors_origins_are_those_that_browsers_send(
    monkeypatch: pytest.MonkeyPatch, text: str, expected: set[str]
) -> None:
    monkeypatch.setenv("CORS_ORIGINS", text)

    assert expected == load_settings().CORS_ORIGINS


@pytest.mark.parametrize(
    ("name", "rate"), [("DevelopmentConfig", 1), ("TestingConfig", 0), ("ProductionConfig", 0)]
)
@pytest.mark.usefixtures("production")
def test_only_development_checks_every_response_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, name: str, rate: float
) -> None:
    monkeypatch.setenv("APP_SETTINGS", f"users_api.config.{name}")
    monkeypatch.setenv("DATABASE_TEST_URL", POSTGRESQL)
    default = load_settings().CONTRACT_SAMPLE
    monkeypatch.setenv("CONTRACT_SAMPLE", "0.05")

    assert (default, load_settings().CONTRACT_SAMPLE) == (rate, 0.05)


def test_the_base_class_has_defaults() -> None:
    assert (Config.DEBUG, Config.TESTING) == (False, False)
