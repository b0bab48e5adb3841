"""The URLs of issuers and of their metadata, and how long their keys are fresh."""

import re

import pytest

from users_api.access.discovery import metadata_urls, parse_issuer, parse_max_age
from users_api.access.documents import IssuerUnavailable


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.example",
        "https://issuer.example/",
        "https://issuer.example:8443/tenants/users%2Fapi/",
        "https://10.0.0.1/realms/users",
        "https://[2001:db8::1]",
        "HTTPS://Issuer.example",
        "http://localhost:8080",
        "http://127.0.0.1",
        "http://127.8.9.10:9000/a",
        "http://[::1]:9000",
    ],
)
def test_an_issuer_is_a_url_with_https_or_on_loopback(url: str) -> None:
    assert parse_issuer(url) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "issuer.example",
        "//issuer.example",
        "https://",
        "https:///users",
        "https:issuer.example",
        "ftp://issuer.example",
        "file:///etc/passwd",
        "http://issuer.example",
        "http://10.0.0.1",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://2130706433",
        "http://0.0.0.0",
        "http://[::]",
        "https://user:secret@issuer.example",
        "https://user@issuer.example",
        "http://127.0.0.1@issuer.example",
        "http://127.0.0.1\\@issuer.example",
        "https://issuer.example?",
        "https://issuer.example/?a=b",
        "https://issuer.example/#",
        "https://issuer.example:99999",
        "https://issuer.example:port",
        "https://issuer .example",
        "https://issuer.example\n",
        "https://issuer.example/users ",
        "https://[::1",
        "https://xn--zzzzzz\u00e9.example",
        "https://" + "a" * 70_000,
    ],
)
def test_anything_else_is_rejected(text: str) -> None:
    message = (
        "must be a URL like https://issuer.example without credentials, query and fragment; "
        "http:// is only for loopback addresses"
    )

    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_issuer(text)


@pytest.mark.parametrize(
    ("issuer", "urls"),
    [
        (
            "https://issuer.example",
            (
                "https://issuer.example/.well-known/oauth-authorization-server",
                "https://issuer.example/.well-known/openid-configuration",
            ),
        ),
        (
            "https://issuer.example/",
            (
                "https://issuer.example/.well-known/oauth-authorization-server",
                "https://issuer.example/.well-known/openid-configuration",
            ),
        ),
        (
            "http://[::1]:9000/tenants/users%2Fapi/",
            (
                "http://[::1]:9000/.well-known/oauth-authorization-server/tenants/users%2Fapi",
                "http://[::1]:9000/tenants/users%2Fapi/.well-known/openid-configuration",
            ),
        ),
    ],
)
def test_metadata_is_between_host_and_path_or_behind_both(issuer: str, urls: tuple[str, str]) -> None:
    assert metadata_urls(issuer) == urls


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 600),
        ("no-cache", 600),
        ("s-maxage=300", 600),
        ("max-age", 600),
        ("max-age=soon", 600),
        ("max-age=-1", 600),
        ("max-age=\u0663\u0660\u0660", 600),
        ("max-age=300", 300),
        ("public, max-age=300, must-revalidate", 300),
        ("Public,Max-Age=300", 300),
        ('max-age="300"', 300),
        ("max-age = 300", 300),
        ("max-age=300.9", 300),
        ("max-age=0", 60),
        ("max-age=86400", 3600),
        ("max-age=" + "9" * 5000, 3600),
    ],
)
def test_keys_are_fresh_for_a_minute_to_an_hour(header: str, seconds: int) -> None:
    assert parse_max_age(header) == seconds


def test_a_reason_is_one_short_line() -> None:
    reason = str(IssuerUnavailable("a\r\n\u2028b" + "c" * 10_000))

    assert reason.startswith("a bccc")
    assert len(reason) == 600
