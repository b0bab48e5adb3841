"""A progress bar with rate and remaining time, shown only on a terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat

import click

Advance = Callable[[int, int], None]


@contextmanager
def progress_bar(label: str, length: int | None) -> Iterator[Advance]:
    """Give a function that takes the steps done, and how many users they had.

    Without a length there is no remaining time.
    """
    began, users = time.monotonic(), 0
    hidden = not sys.stderr.isatty()
    with click.progressbar(
        repeat(""), length, label, file=sys.stderr, hidden=hidden, item_show_func=str
    ) as bar:

        def advance(steps: int, more: int) -> None:
            nonlocal users
            users += more
            rate = users / max(time.monotonic() - began, 0.001)
            bar.update(steps, f"{users:,} users, {rate:,.0f} per second")

        yield advance
