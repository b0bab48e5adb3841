"""Listening sockets: whether a port is free, and closing a listener without resetting connections.

When the last process closes a listening socket, the kernel resets every connection in its queue and every
handshake that has begun, although a request may be on its way there. Accepting all of them first does not
help: new ones keep arriving.
"""

import errno
import socket
import time
from contextlib import suppress
from typing import Final

IP_MINTTL: Final = 21
IPV6_MINHOPCOUNT: Final = 73
MAX_HOPS: Final = 255
HANDSHAKE_SECONDS: Final = 0.1


def is_port_in_use(host: str, port: int) -> bool:
    """Return whether another socket listens on the address; the server reports any other problem itself."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def port_in_use_message(port: int) -> str:
    """Return the line that a command prints when its port is taken."""
    return f"Port {port} is in use: stop the process that listens on it, or set PORT to another port."


def refuse_handshakes(listeners: list[socket.socket]) -> None:
    """Refuse new connections, and return after the handshakes that have begun are complete.

    Linux drops packets with fewer hops left than the minimum (RFC 5082), and most systems send them with 64
    or 128. A client whose packets are dropped retries after a second, and then finds the port closed or
    reaches a successor. A client that starts with 255 hops, and passes no router, still connects.
    """
    for listener in listeners:
        _set_min_ttl(listener, MAX_HOPS)
    time.sleep(HANDSHAKE_SECONDS)


def reset_min_ttl(connection: socket.socket) -> None:
    """Clear the minimum-TTL option that a connection may have inherited from its listener."""
    _set_min_ttl(connection, 0)


def _set_min_ttl(endpoint: socket.socket, hops: int) -> None:
    # A Unix socket, or a system without the option: new connections may be reset there.
    with suppress(OSError):
        endpoint.setsockopt(socket.IPPROTO_IP, IP_MINTTL, hops)
        endpoint.setsockopt(socket.IPPROTO_IPV6, IPV6_MINHOPCOUNT, hops)
