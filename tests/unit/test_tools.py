"""The modules in `tests/support`."""

import re
from pathlib import Path

import pytest

from tests.support.fault_table import HEAD, MARKED, Row, picture, table
from tests.support.postgres import postgresql
from tests.support.waiting import until

ROW = r"\| [^|]+ \| [\d,]+ \| [\d,]+ \| 0 \| 0 \| (\d+\.\d)? \| (\d+\.\d)? \| (\d+\.\d)? \|"
MAX_SLOWDOWN = 5


def test_a_postgresql_that_fails_to_start_raises_its_log() -> None:
    with pytest.raises(RuntimeError, match="nonsense"):
        postgresql("-c", "nonsense=1").__enter__()


def test_until_times_out() -> None:
    with pytest.raises(TimeoutError):
        until(lambda: False, seconds=0.05)


def test_no_documented_fault_loses_or_doubles_a_write_or_keeps_the_neighbours_waiting(root: Path) -> None:
    (found,) = MARKED.finditer((root / "docs" / "safety.md").read_text())
    rows = found[0].removeprefix(f"<!-- faults -->\n{HEAD}").splitlines()[:-1]

    assert len(rows) > 20
    for row in rows:
        match = re.fullmatch(ROW, row)
        assert match, row
        assert float(match[3] or 0) <= MAX_SLOWDOWN, row


def test_the_fault_chart_is_drawn_from_the_table(root: Path) -> None:
    (found,) = MARKED.finditer((root / "docs" / "safety.md").read_text())
    faults = found[0].removeprefix("<!-- faults -->\n").removesuffix("<!-- /faults -->")

    assert (root / "docs" / "safety.svg").read_text() == picture(faults)


def test_a_row_combines_direct_and_pooled_results() -> None:
    direct, pooled = Row("flood", False, 1000, 10, 0, 0, 1.25, 2.5), Row("flood", True, 2000, 20, 0, 0, 0.0)  # noqa: FBT003 -- named tuple's fields.

    line = table([direct, pooled]).removeprefix(HEAD).rstrip()

    assert line == "| flood | 3,000 | 30 | 0 | 0 | 1.2 | 0.0 | 2.5 |"
    assert re.fullmatch(ROW, line)
