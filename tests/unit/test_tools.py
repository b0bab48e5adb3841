"""The tests' own tools."""

import pytest

from tests.postgres import postgresql
from tests.waiting import until


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(RuntimeError, match="nonsense"):
        postgresql("-c", "nonsense=1").__enter__()


def test_patience_ends() -> None:
    with pytest.raises(TimeoutError):
        until(lambda: False, seconds=0.05)
