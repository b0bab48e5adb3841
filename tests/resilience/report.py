"""The table of faults, as the terminal shows it and README keeps it."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
TABLE = ROOT / "build" / "faults.md"
README = ROOT / "README.md"
MARKED = re.compile(r"(<!-- faults -->\n).*?(<!-- /faults -->)", re.DOTALL)
HEAD = "| fault, under eight writers | requests | acknowledged | lost | doubled | longest outage |\n|---|--:|--:|--:|--:|--:|\n"


class Row(NamedTuple):
    """What a fault did."""

    fault: str
    requests: int
    acknowledged: int
    lost: int
    doubled: int
    outage: float


def table(rows: Iterable[Row]) -> str:
    """Return the rows in Markdown."""
    lines = [
        f"| {row.fault} | {row.requests:,} | {row.acknowledged:,} | {row.lost} | {row.doubled} | {row.outage:.1f} s |\n"
        for row in rows
    ]
    return HEAD + "".join(lines)


def main() -> None:
    """Put the table of the last run into README."""
    README.write_text(MARKED.sub(lambda found: found[1] + TABLE.read_text() + found[2], README.read_text()))


if __name__ == "__main__":
    sys.exit(main())
