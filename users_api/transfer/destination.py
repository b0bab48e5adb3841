"""Where an export is written: standard output, or a file that appears only when it is complete."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Final

BUFFER_BYTES: Final = 1024**2


@contextmanager
def destination(path: Path | None) -> Iterator[IO[bytes]]:
    """Give the file; on an exception it is removed, and an older file of that name stays.

    Only its owner may read it. Until it is complete, its name is that of the path with `.partial`.
    """
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    file = NamedTemporaryFile(  # noqa: SIM115 -- closed below, before it gets its name.
        dir=path.parent, prefix=f"{path.name}.", suffix=".partial", delete=False, buffering=BUFFER_BYTES
    )
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(path)
    except BaseException:
        Path(file.name).unlink()
        raise
