"""The tests' own tools."""

import re
from pathlib import Path

import pytest

from tests.postgres import postgresql
from tests.resilience.report import HEAD, MARKED, Row, table
from tests.waiting import until

ROW = r"\| [^|]+ \| [\d,]+ \| [\d,]+ \| 0 \| 0 \| (\d+\.\d)? \| (\d+\.\d)? \|"


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(RuntimeError, match="nonsense"):
        postgresql("-c", "nonsense=1").__enter__()


def test_patience_ends() -> None:
    with pytest.raises(TimeoutError):
        until(lambda: False, seconds=0.05)


def test_the_readme_tells_of_each_fault_that_nothing_was_lost(root: Path) -> None:
    (found,) = MARKED.finditer((root / "README.md").read_text())
    rows = found[0].removeprefix(f"<!-- faults -->\n{HEAD}").splitlines()[:-1]

    assert len(rows) > 20
    for row in rows:
        assert re.fullmatch(ROW, row), row


def test_a_fault_has_one_line_for_both_ways() -> None:
    direct, pooled = Row("flood", False, 1000, 10, 0, 0, 1.25), Row("flood", True, 2000, 20, 0, 0, 0.0)  # noqa: FBT003 -- a column.

    line = table([direct, pooled]).removeprefix(HEAD).rstrip()

    assert line == "| flood | 3,000 | 30 | 0 | 0 | 1.2 | 0.0 |"
    assert re.fullmatch(ROW, line)
