"""The numbers that workers occupy, which index the memory that all workers share."""

from typing import Final

SLOTS: Final = 512
MAX_WORKERS: Final = SLOTS // 2  # A reload runs the old and the new workers side by side.
