"""The slots of workers: indices into the memory that all workers share."""

from typing import Final

MAX_SLOTS: Final = 512
MAX_WORKERS: Final = MAX_SLOTS // 2  # A reload runs the old and the new workers side by side.
