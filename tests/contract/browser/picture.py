"""A picture that tells which words it shows: so an old one is noticed, whatever fonts a machine has."""

import struct
import zlib
from hashlib import sha256

LAST_CHUNK_BYTES = 12


def labelled(png: bytes, words: str) -> bytes:
    """Return the picture with a label in a chunk of its own, `tEXt` (PNG, 11.3.3)."""
    chunk = b"tEXtWords\0" + label(words)
    framed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png[:-LAST_CHUNK_BYTES] + framed + png[-LAST_CHUNK_BYTES:]


def label(words: str) -> bytes:
    """Return what stands for the words."""
    return sha256(words.encode()).hexdigest().encode()
