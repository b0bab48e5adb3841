"""The results of checks as text for people."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import wrap
from typing import Final

import click

from users_api.checks.findings import Result, State

COLORS: Final = {
    State.OK: "green",
    State.WARNING: "yellow",
    State.PROBLEM: "red",
    State.NOT_CHECKED: "bright_black",
}
MARK_WIDTH: Final = 11
NAME_WIDTH: Final = 10
NARROWEST: Final = 60
WIDEST: Final = 100


def render(title: str, results: Sequence[Result], *, columns: int) -> str:
    """Return one line for each result that fits in the columns, which are bounded, and a summary."""
    width = min(max(columns, NARROWEST), WIDEST)
    lines = [title, ""]
    for group, found in groupby(results, key=lambda result: result.group):
        lines.append(click.style(group.capitalize(), bold=True))
        lines += [line for result in found for line in _result(result, width)]
    return "\n".join([*lines, "", summary(results)])


def _result(result: Result, width: int) -> Iterator[str]:
    state, text, advice = result.finding
    mark = click.style(f"{mark_of(state):<{MARK_WIDTH}}", fg=COLORS[state])
    indent = " " * (MARK_WIDTH + NAME_WIDTH + 6)
    first, *rest = wrap(text, width - len(indent))
    yield f"  {mark}  {result.check:<{NAME_WIDTH}}  {first}"
    yield from (indent + line for line in rest)
    yield from (indent + line for line in wrap(f"→ {advice}" if advice else "", width - len(indent)))


def mark_of(state: State) -> str:
    """Return the words for a state."""
    return state.replace("_", " ")


def summary(results: Sequence[Result]) -> str:
    """Return one line that says whether everything is in order."""
    counts = Counter(result.finding.state for result in results)
    shown = [
        _count(counts[state], noun)
        for state, noun in ((State.PROBLEM, "problem"), (State.WARNING, "warning"))
        if counts[state]
    ]
    if counts[State.NOT_CHECKED]:
        shown.append(f"{counts[State.NOT_CHECKED]} not checked")
    if not shown:
        return f"Everything is in order: {_count(len(results), 'check')}."
    return f"{', '.join(shown)}, {counts[State.OK]} ok."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
