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
HEAD = """\
| fault, under eight writers | requests | acknowledged | lost | doubled | longest outage | behind PgBouncer |
|---|--:|--:|--:|--:|--:|--:|
"""


class Row(NamedTuple):
    """What a fault did to a service, which was behind PgBouncer or not; the outage in seconds."""

    fault: str
    pooled: bool
    requests: int
    acknowledged: int
    lost: int
    doubled: int
    outage: float


def table(rows: Iterable[Row]) -> str:
    """Return a line of Markdown for each fault: the account of all services that it befell, and how long the outages were."""
    faults: dict[str, list[Row]] = {}
    for row in rows:
        faults.setdefault(row.fault, []).append(row)
    return HEAD + "".join(_line(fault, both) for fault, both in faults.items())


def _line(fault: str, both: list[Row]) -> str:
    counts = (sum(getattr(row, name) for row in both) for name in ("requests", "acknowledged", "lost", "doubled"))
    outages = (max((row.outage for row in both if row.pooled is pooled), default=None) for pooled in (False, True))
    cells = [fault, *(f"{number:,}" for number in counts), *("" if outage is None else f"{outage:.1f}" for outage in outages)]
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    """Put the table of the last run into README."""
    README.write_text(MARKED.sub(lambda found: found[1] + TABLE.read_text() + found[2], README.read_text()))


if __name__ == "__main__":
    sys.exit(main())
