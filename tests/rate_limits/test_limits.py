"""The notation of rate limits."""

import pytest

from users_api.rate_limits.limits import RateLimits


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("100/minute", b'"100-per-minute";q=100;w=60'),
        ("1 per second", b'"1-per-second";q=1;w=1'),
        ("10/second;1000/hour", b'"10-per-second";q=10;w=1, "1000-per-hour";q=1000;w=3600'),
        ("5/15 minutes, 20 per day", b'"5-per-15-minutes";q=5;w=900, "20-per-day";q=20;w=86400'),
        ("7/minute;7/minutes;7 per 1 minute", b'"7-per-minute";q=7;w=60'),
        ("1000000000/day", b'"1000000000-per-day";q=1000000000;w=86400'),
    ],
)
def test_the_policy_names_each_limit(text, policy) -> None:
    assert RateLimits.parse(text).policy == (b"ratelimit-policy", policy)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ";",
        "100",
        "minute",
        "100/minute;",
        "-1/minute",
        "1.5/minute",
        "many/minute",
        "1/fortnight",
        "1/0 minutes",
        "1 per 00minute",
        "9" * 5_000 + "/minute",
    ],
)
def test_what_is_no_limit_is_refused(text) -> None:
    with pytest.raises(ValueError, match="must be limits like") as refusal:
        RateLimits.parse(text)

    assert str(refusal.value) == f"must be limits like 100/minute or 10/second;1000/hour, not {text!r}"


@pytest.mark.parametrize(
    "text",
    [
        "0/minute",
        "1/minute;0/hour",
        "1/25 hours",
        "1/month",
        "1/year",
        "1000000001/day",
        f"1/{'9' * 99} days",
    ],
)
def test_a_limit_beyond_what_is_counted_is_refused(text) -> None:
    with pytest.raises(ValueError, match="must allow from") as refusal:
        RateLimits.parse(text)

    assert str(refusal.value) == f"must allow from 1 to 1000000000 requests in at most a day, not {text!r}"
