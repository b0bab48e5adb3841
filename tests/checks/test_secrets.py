"""No secret of the settings is ever shown, whatever it consists of, and wherever it is."""

import os
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from click.testing import Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.postgres import free_port
from tests.support.redis import Redis, redis
from users_api.checks.redaction import describe, redact

Call = Callable[..., Result]
CORE = "s3cr3t"
MASK = "***"

# Environment variables have no NUL, and no surrogates.
parts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
secrets = st.builds(lambda before, after: f"{before}{CORE}{after}", parts, parts)
spellings = secrets.flatmap(lambda secret: st.sampled_from([secret, quote(secret, safe="")]))


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    """A server that asks for another password."""
    with redis("requirepass correct-horse") as running:
        yield running


@pytest.fixture(scope="module")
def refused() -> str:
    """The address of a server that is away."""
    return f"127.0.0.1:{free_port()}"


KEYS = st.fixed_dictionaries(
    {}, optional={"TOKEN_KEYS": secrets, "SECRET_KEY": secrets, "PGPASSWORD": secrets}
)
DATABASES = st.builds(
    lambda form, secret: form.format(secret),
    st.sampled_from(
        [
            "postgresql://ada:{}@ADDRESS/users",
            "postgresql://ada:{}@ADDRESS,ADDRESS/users",
            "postgresql://ada@ADDRESS/users?password={}",
            "postgresql://ada@ADDRESS/users?sslpassword={}&sslmode=require",
            "postgresql://ada@ADDRESS/users?passwd={}",
            "mysql://ada:{}@ADDRESS/users",
            "postgresql:/ada:{}@ADDRESS/users",
        ]
    ),
    spellings,
)
STORES = st.builds(
    lambda form, secret: form.format(secret),
    st.sampled_from(
        ["redis://:{}@REDIS/0", "redis://ada:{}@REDIS", "redis://REDIS?password={}", "memcached://:{}@REDIS"]
    ),
    spellings,
)
ISSUERS = st.builds("https://ada:{}@issuer.example".format, spellings)
MISPLACED = st.builds(
    lambda name, secret: {name: f"redis://:{secret}@127.0.0.1"},
    st.sampled_from(["RATE_LIMIT", "ALLOWED_HOSTS", "PORT", "APP_SETTINGS", "CORS_ORIGINS"]),
    spellings.filter(lambda secret: not set("/?#") & set(secret) and secret.split() == [secret]),
)


ENVIRONMENTS = st.builds(
    lambda keys, misplaced, **places: places | keys | misplaced,
    KEYS,
    st.one_of(st.just({}), MISPLACED),
    AUTH=st.sampled_from(["none", "required"]),
    AUTH_ISSUER=st.one_of(st.just(""), ISSUERS),
    DATABASE_URL=DATABASES,
    RATE_LIMIT_STORE=STORES,
)


@given(ENVIRONMENTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_secret_is_shown(call: Call, server: Redis, refused: str, environment: dict[str, str]) -> None:
    servers = {
        "DATABASE_URL": environment["DATABASE_URL"].replace("ADDRESS", refused),
        "RATE_LIMIT_STORE": environment["RATE_LIMIT_STORE"].replace("REDIS", server.address),
    }

    for arguments in ([], ["--json"]):
        result = call(*arguments, **{"RATE_LIMIT": "100/minute"} | environment | servers)

        assert result.exit_code == 1
        assert CORE not in result.output


@given(secrets, st.sampled_from(["ada:{}@db/users", "db/users?password={}", "db?a=b&sslpassword={}"]))
def test_a_secret_is_removed_in_every_spelling(secret: str, form: str) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATABASE_URL", f"postgresql://{form.format(quote(secret, safe=''))}")

        shown = redact(f"{secret} {quote(secret)} {secret!r}")

    assert CORE not in shown
    assert MASK in shown


def test_a_message_loses_its_line_breaks_and_control_codes() -> None:
    assert redact("one\n\ttwo \x1b[31mthree") == "one two ?[31mthree"
    assert describe(ValueError()) == "ValueError"


def test_text_without_secrets_stays() -> None:
    assert {name for name in ("TOKEN_KEYS", "PGPASSWORD") if os.environ.get(name)} == set()
    assert redact("postgresql://db/users is away") == "postgresql://db/users is away"
