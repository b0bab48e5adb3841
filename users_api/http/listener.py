"""How a listening socket is left, so that nobody who was let in is cut off.

When its last holder closes it, the kernel resets every connection that is in its queue or amid its handshake, although a request
may be on its way there. Workers cannot take them all first: while they do so, others come.
"""

import ctypes
import socket
import struct
import time
from contextlib import suppress
from typing import Final

SO_ATTACH_FILTER: Final = 26
HANDSHAKE_SECONDS: Final = 0.1
# Drops the first segment of a handshake, which has SYN and no ACK, in Linux's classic BPF: of the flags, which are byte 13 of a
# TCP header (RFC 9293, 3.1), these two; if they are SYN alone keep nothing, else everything.
INSTRUCTIONS: Final = ((0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))


def begin_no_handshake(listeners: list[socket.socket]) -> None:
    """Let nobody else in, and return after a moment in which handshakes that have begun end; only Linux knows how.

    Who comes later hears nothing, tries again after a second, and is then refused, or let in by a successor.
    """
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in INSTRUCTIONS))
    with suppress(OSError):  # A system without such filters: then the stop is as good as anybody's.
        for listener in listeners:
            filter_ = struct.pack("HP", len(INSTRUCTIONS), ctypes.addressof(program))
            listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_)
        time.sleep(HANDSHAKE_SECONDS)
