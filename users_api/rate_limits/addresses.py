"""The address that a request is counted by when it has no client."""

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

from starlette.types import Scope

UNKNOWN: Final = "unknown"
SITE_BITS: Final = 64
CACHED_ADDRESSES: Final = 4096


def address_key(scope: Scope) -> str:
    """Return the client's IPv4 address or IPv6 /64, which is what one site has (RFC 6177).

    All clients without an address, such as those of a Unix socket, share the key `unknown`.
    """
    client = scope.get("client")
    return _key(client[0]) if client else UNKNOWN


@lru_cache(CACHED_ADDRESSES)
def _key(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return UNKNOWN
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or IPv6Network((address.packed, SITE_BITS), strict=False))
    return str(address)
