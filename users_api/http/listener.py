"""How a listening socket is left, so that nobody who was let in is cut off.

When its last holder closes it, the kernel resets every connection that is in its queue or amid its handshake, although a request
may be on its way there. Workers cannot take them all first: while they do so, others come.
"""

import socket
import time
from contextlib import suppress
from typing import Final

IP_MINTTL: Final = 21
IPV6_MINHOPCOUNT: Final = 73
MOST_HOPS: Final = 255
HANDSHAKE_SECONDS: Final = 0.1


def begin_no_handshake(listeners: list[socket.socket]) -> None:
    """Let nobody else in, and return after a moment in which handshakes that have begun end.

    Who comes later hears nothing, tries again after a second, and is then refused, or let in by a successor. Linux ignores who
    has fewer hops left than it is told to ask for (RFC 5082), and systems begin with 64 or 128; the rare one that begins with 255
    and has passed no router is let in as ever.
    """
    for listener in listeners:
        _hear(listener, MOST_HOPS)
    time.sleep(HANDSHAKE_SECONDS)


def hear(connection: socket.socket) -> None:
    """Let a connection hear its caller, though it may have been made amid the above, which it has taken over."""
    _hear(connection, 0)


def _hear(endpoint: socket.socket, hops: int) -> None:
    with suppress(OSError):  # Another family, or a system that knows no such bounds: then a stop is as good as anybody's.
        endpoint.setsockopt(socket.IPPROTO_IP, IP_MINTTL, hops)
        endpoint.setsockopt(socket.IPPROTO_IPV6, IPV6_MINHOPCOUNT, hops)
