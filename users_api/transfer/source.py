"""What an import reads: a file or a pipe, hashed while it is read, so that an import can be continued."""

import hashlib
import io
import os
import stat
from typing import BinaryIO, Final, NamedTuple

from users_api.transfer.formats import Format

LONGEST_LINE: Final = (
    65_536  # Bytes; the longest valid line has less than 2,000, and about 10,000 with escapes.
)
PREFIX_BYTES: Final = 65_536
BLOCK_BYTES: Final = 1024**2
BOM: Final = b"\xef\xbb\xbf"
UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


class SourceError(Exception):
    """The file cannot be imported as a whole; the message says what to do."""


class Mark(NamedTuple):
    """A place in the source: the bytes and lines before it, and the SHA-256 of these bytes."""

    position: int
    lines: int
    digest: str


class Replayed(io.RawIOBase):
    """A stream whose first bytes have been read already; a pipe cannot go back."""

    def __init__(self, prefix: bytes, stream: BinaryIO) -> None:
        """Store what comes first."""
        self._prefix, self._stream = prefix, stream

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]  # the buffer is BufferedReader's.
        """Fill the buffer as far as bytes are available."""
        block = self._prefix[: len(buffer)] or self._stream.read1(len(buffer))  # type: ignore[attr-defined]  # all binary streams have it.
        self._prefix = self._prefix[len(buffer) :]
        buffer[: len(block)] = block
        return len(block)


class Source:
    """The bytes of a file or a pipe, line by line.

    Raises:
        SourceError: it is in UTF-16.
    """

    def __init__(self, stream: BinaryIO) -> None:
        """Read the first bytes; `size` is None unless the stream is a regular file."""
        status = os.fstat(stream.fileno())
        self.size = status.st_size if stat.S_ISREG(status.st_mode) else None
        self._prefix = _read_prefix(stream)
        if self._prefix.startswith(UTF16_MARKS):
            message = "The file is in UTF-16; convert it with `iconv -f UTF-16 -t UTF-8`."
            raise SourceError(message)
        self._stream = io.BufferedReader(Replayed(self._prefix, stream), BLOCK_BYTES)
        self._hash = hashlib.sha256()
        self._unhashed = bytearray()
        self._position = self.lines = 0
        if self._prefix.startswith(BOM):
            self._take(self._stream.read(len(BOM)))

    def identity(self, form: Format) -> str:
        """Return the hash of the format and the first 64 KiB, under which progress is recorded."""
        return hashlib.sha256(form.encode() + b"\n" + self._prefix).hexdigest()

    def readline(self) -> bytes:
        """Return the next line with its end, or one byte more than LONGEST_LINE; empty at the end."""
        line = self._take(self._stream.readline(LONGEST_LINE + 1))
        if line:
            self.lines += 1
        return line

    def read_rest_of_line(self, line: bytes) -> int:
        """Read to the end of a line whose beginning is given; return how many quotes the rest has."""
        quotes = 0
        while line and not line.endswith(b"\n"):
            line = self._take(self._stream.readline(LONGEST_LINE))
            quotes += line.count(b'"')
        return quotes

    def mark(self) -> Mark:
        """Return the current place."""
        self._hash_read_bytes()
        return Mark(self._position, self.lines, self._hash.hexdigest())

    def skip_to(self, mark: Mark) -> bool:
        """Read up to the mark; return whether the bytes before it are those that were marked."""
        while self._position < mark.position:
            if not self._take(self._stream.read(min(BLOCK_BYTES, mark.position - self._position))):
                return False
        self.lines = mark.lines
        return self.mark() == mark

    def is_at_end(self) -> bool:
        """Return whether no bytes follow."""
        return not self._stream.peek(1)

    def _take(self, block: bytes) -> bytes:
        """Count the block, and hash it with others, since hashing single lines takes longer."""
        self._position += len(block)
        self._unhashed += block
        if len(self._unhashed) > BLOCK_BYTES:
            self._hash_read_bytes()
        return block

    def _hash_read_bytes(self) -> None:
        self._hash.update(self._unhashed)
        self._unhashed.clear()


def _read_prefix(stream: BinaryIO) -> bytes:
    """Return the first bytes; a pipe may give them in parts."""
    prefix = b""
    while block := stream.read(PREFIX_BYTES - len(prefix)):
        prefix += block
    return prefix
