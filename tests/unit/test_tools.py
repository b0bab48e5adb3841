"""The tests' own tools."""

import re
from pathlib import Path

import pytest

from tests.postgres import postgresql
from tests.resilience.report import HEAD, MARKED
from tests.waiting import until


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(RuntimeError, match="nonsense"):
        postgresql("-c", "nonsense=1").__enter__()


def test_patience_ends() -> None:
    with pytest.raises(TimeoutError):
        until(lambda: False, seconds=0.05)


def test_the_readme_tells_of_each_fault_that_nothing_was_lost(root: Path) -> None:
    (table,) = MARKED.finditer((root / "README.md").read_text())
    rows = table[0].removeprefix(f"<!-- faults -->\n{HEAD}").splitlines()[:-1]

    assert len(rows) > 20
    for row in rows:
        assert re.fullmatch(r"\| [^|]+ \| [\d,]+ \| [\d,]+ \| 0 \| 0 \| \d+\.\d s \|", row)
