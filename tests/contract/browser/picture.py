"""A screenshot labelled with the text it shows, so that outdated ones are detected independently of fonts."""

import struct
import zlib
from hashlib import sha256

LAST_CHUNK_BYTES = 12


def labelled(png: bytes, words: str) -> bytes:
    """Return the PNG with a label in a `tEXt` chunk (PNG, 11.3.3)."""
    chunk = b"tEXtWords\0" + label(words)
    framed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png[:-LAST_CHUNK_BYTES] + framed + png[-LAST_CHUNK_BYTES:]


def label(words: str) -> bytes:
    """Return the label of the text."""
    return sha256(words.encode()).hexdigest().encode()
