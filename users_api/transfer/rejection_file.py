"""The file of rejected records: JSON Lines with number, errors and text, without losses or repetitions.

It is written before the database commits the batch, which records the file's length. Whatever is beyond that
length belongs to a batch that was not committed, so it is cut off when the import continues.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import orjson

from users_api.transfer.rules import Rejection
from users_api.transfer.source import SourceError

TEXT_BYTES: Final = 2048  # Of a longer record, its beginning identifies it.


class RejectionFile:
    """An open file of rejections; only its owner may read it.

    Raises:
        SourceError: it exists although the import begins, or is shorter than the import has written.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, length: int) -> None:
        """Cut it to the length that was recorded."""
        found = path.stat().st_size if path.exists() else 0
        if found < length:
            message = (
                f"{path} has {found} bytes, but this import has written {length} before: pass the file "
                "that it wrote, or --restart to begin at the first line."
            )
            raise SourceError(message)
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        self._cut(length)

    def write(self, rejections: Iterable[Rejection], length: int) -> int:
        """Write the rejections after that many bytes, wait for the disk, and return the new length."""
        self._cut(length)
        self._file.writelines(map(_row, rejections))
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _cut(self, length: int) -> None:
        self._file.seek(length)
        self._file.truncate()


def _row(rejection: Rejection) -> bytes:
    row = {
        "line": rejection.number,
        "errors": [error._asdict() for error in rejection.errors],
        "text": rejection.raw[:TEXT_BYTES].decode("utf-8", "backslashreplace").rstrip("\r\n"),
    }
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
