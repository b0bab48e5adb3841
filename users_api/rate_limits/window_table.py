"""Counts of requests by key, in memory that a server's processes share."""

import os
from functools import cache, lru_cache
from hashlib import blake2b
from mmap import mmap
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

from users_api.rate_limits.process_lock import ProcessLock

TAG_BYTES: Final = 8
CONTENT: Final = Struct(f"<{TAG_BYTES}sIII")
ENTRY: Final = Struct(f"<{CONTENT.size}sI")
ENTRIES_PER_BUCKET: Final = 8
BUCKET_BYTES: Final = ENTRIES_PER_BUCKET * ENTRY.size
BUCKETS: Final = 8192
SECRET_BYTES: Final = 32
CACHED_HASHES: Final = 1024


class Entry(NamedTuple):
    """Where the counts of a key are stored, and the counts, which are worthless from `expires_at` on."""

    tag: bytes
    position: int
    expires_at: int
    previous: int
    current: int


class WindowTable:
    """A hash table of 65,536 entries in 1.5 MB, of which a page is allocated on first use.

    A bucket has eight entries. When it is full, a new key replaces the one that expires first, whose client
    starts anew: a full table forgets counts, and rejects nothing. Buckets are chosen by a keyed hash, so that
    clients cannot choose whose counts are forgotten. Two keys share counts if 64 bits of it are equal.
    """

    def __init__(self, buckets: int = BUCKETS) -> None:
        """Allocate the memory, which processes share if they are forked afterwards."""
        self._buckets = buckets
        self._secret = os.urandom(SECRET_BYTES)
        self._place = lru_cache(CACHED_HASHES)(self._hash)
        self.memory: Final = mmap(-1, buckets * BUCKET_BYTES)
        self.lock: Final = ProcessLock()

    def find(self, key: str) -> Entry:
        """Return the entry of the key, or an empty one for the place where it can be stored.

        Without the lock, an entry may seem empty while another process writes it.
        """
        tag, start = self._place(key)
        position = self.memory.find(tag, start, start + BUCKET_BYTES)
        if position >= 0 and (content := self._content(position)):
            _, expires_at, previous, current = CONTENT.unpack(content)
            return Entry(tag, position, expires_at, previous, current)
        positions = range(start, start + BUCKET_BYTES, ENTRY.size)
        return Entry(tag, min(positions, key=self._expires_at), 0, 0, 0)

    def write(self, entry: Entry) -> None:
        """Store the entry, with a checksum that differs if a process is killed meanwhile."""
        tag, position, expires_at, previous, current = entry
        content = CONTENT.pack(tag, expires_at, previous, current)
        self.memory[position : position + ENTRY.size] = ENTRY.pack(content, crc32(content))

    def _hash(self, key: str) -> tuple[bytes, int]:
        """Return the tag of a key, and where its bucket starts."""
        digest = blake2b(key.encode(), key=self._secret).digest()
        bucket = int.from_bytes(digest[TAG_BYTES:], "little") % self._buckets
        return digest[:TAG_BYTES], bucket * BUCKET_BYTES

    def _content(self, position: int) -> bytes:
        """Return what is stored there, or nothing if it was never written, or not completely."""
        content, checksum = ENTRY.unpack_from(self.memory, position)
        return content if crc32(content) == checksum else b""

    def _expires_at(self, position: int) -> int:
        content = self._content(position)
        return int(CONTENT.unpack(content)[1]) if content else 0


@cache
def shared_window_table() -> WindowTable:
    """Return this process's table, which it shares with the processes that it forks."""
    return WindowTable()
