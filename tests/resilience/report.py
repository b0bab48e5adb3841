"""Puts the table of the last `make resilience`, and its picture, into docs/safety.md."""

import sys
from pathlib import Path

from tests.support.fault_table import MARKED, picture

ROOT = Path(__file__).parent.parent.parent
TABLE = ROOT / "build" / "faults.md"
PAGE = ROOT / "docs" / "safety.md"
PICTURE = ROOT / "docs" / "safety.svg"


def main() -> None:
    """Write the table of the last run to docs/safety.md, and draw docs/safety.svg."""
    faults = TABLE.read_text()
    PAGE.write_text(MARKED.sub(lambda found: found[1] + faults + found[2], PAGE.read_text()))
    PICTURE.write_text(picture(faults))


if __name__ == "__main__":
    sys.exit(main())
