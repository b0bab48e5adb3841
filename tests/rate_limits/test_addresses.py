"""The keys of clients that are known by their address only."""

import pytest

from users_api.rate_limits.addresses import address_key


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::FFFF:cb00:7107", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("testclient", "unknown"),
        ("203.0.113.007", "unknown"),
        ("203.0.113.7:80", "unknown"),
    ],
)
def test_an_address_is_an_ipv4_address_or_an_ipv6_site(host, key) -> None:
    assert address_key({"client": (host, 50000)}) == key


@pytest.mark.parametrize("scope", [{}, {"client": None}])
def test_clients_without_an_address_share_a_key(scope) -> None:
    assert address_key(scope) == "unknown"
